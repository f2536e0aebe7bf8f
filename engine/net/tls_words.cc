#include "engine/net/tls_words.h"

#include <openssl/err.h>
#include <openssl/ssl.h>

#include <cstring>

namespace engine {

std::string tls_error_words() {
    // The first is the cause; what stands above it is how the cause was passed up.
    const unsigned long error = ERR_get_error();
    ERR_clear_error();
    if (error == 0) return "no reason given";
    if (ERR_SYSTEM_ERROR(error)) return std::strerror(ERR_GET_REASON(error));
    if (ERR_GET_LIB(error) == ERR_LIB_SSL) {
        switch (ERR_GET_REASON(error)) {
            case SSL_R_WRONG_VERSION_NUMBER:
            case SSL_R_HTTP_REQUEST:
            case SSL_R_PACKET_LENGTH_TOO_LONG:
            case SSL_R_UNEXPECTED_MESSAGE:
                return "what came is not TLS";
            case SSL_R_UNSUPPORTED_PROTOCOL:
            case SSL_R_TLSV1_ALERT_PROTOCOL_VERSION:
                return "no version of TLS that both sides speak";
            case SSL_R_NO_SHARED_CIPHER:
            case SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE:
                return "no cipher that both sides have";
        }
    }
    const char* reason = ERR_reason_error_string(error);
    return reason ? reason : "OpenSSL error " + std::to_string(ERR_GET_REASON(error));
}

}  // namespace engine
