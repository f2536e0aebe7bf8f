// Keys for the tests of DKIM: those of RFC 8463's example, which everybody knows, and fresh ones.
#pragma once

#include <memory>
#include <string>

#include "engine/message/dkim_key.h"

namespace test {

std::shared_ptr<const engine::DkimKey> rfc8463_rsa_key();  // 1,024 bits
std::shared_ptr<const engine::DkimKey> rfc8463_ed25519_key();

std::string new_rsa_pem(unsigned bits);
std::string ec_pem();
std::string encrypted_pem();

}  // namespace test
