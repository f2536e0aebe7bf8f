// DKIM: what canonicalisation, a signature, and the way to a signer thread cost.
#include <benchmark/benchmark.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include "engine/message/dkim.h"
#include "engine/message/relaxed.h"
#include "engine/message/seven_bit.h"
#include "engine/reactor/scope.h"
#include "engine/reactor/uring_reactor.h"
#include "engine/reactor/worker_pool.h"

namespace engine {
namespace {

/// Text of a newsletter: words, quoted-printable, a line end every 70 octets or so.
std::string clean_body(size_t size) {
    std::string body;
    while (body.size() < size)
        body += "<p style=3D\"margin:0\">A few words of a newsletter and a link to more</p>\r\n";
    return body;
}
/// Indented, as templates often leave it: every line has to be rewritten.
std::string indented_body(size_t size) {
    std::string body;
    while (body.size() < size)
        body += "    <td>\tA few words of a newsletter  and a link to more of them</td> \r\n";
    return body;
}

void relax(benchmark::State& state, const std::string& body) {
    for ([[maybe_unused]] auto _ : state) {
        size_t octets = 0;
        relax_body(body, [&](std::string_view piece) { octets += piece.size(); });
        benchmark::DoNotOptimize(octets);
    }
    state.SetBytesProcessed(static_cast<int64_t>(state.iterations() * body.size()));
}
void relax_clean_50k(benchmark::State& state) {
    relax(state, clean_body(50 << 10));
}
void relax_indented_50k(benchmark::State& state) {
    relax(state, indented_body(50 << 10));
}
void body_hash_50k(benchmark::State& state) {
    const std::string body = clean_body(50 << 10);
    for ([[maybe_unused]] auto _ : state) benchmark::DoNotOptimize(relaxed_body_hash(body));
    state.SetBytesProcessed(static_cast<int64_t>(state.iterations() * body.size()));
}
BENCHMARK(relax_clean_50k);
BENCHMARK(relax_indented_50k);
BENCHMARK(body_hash_50k);

void to_seven_bit_50k(benchmark::State& state) {
    const std::string mail =
        "From: a@x.test\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n\xC3\xBC" +
        clean_body(50 << 10);
    for ([[maybe_unused]] auto _ : state) benchmark::DoNotOptimize(to_seven_bit(mail));
    state.SetBytesProcessed(static_cast<int64_t>(state.iterations() * mail.size()));
}
BENCHMARK(to_seven_bit_50k);

std::shared_ptr<const DkimKey> fresh_key(DkimKey::Kind kind) {
    EVP_PKEY* key = kind == DkimKey::Kind::rsa ? EVP_RSA_gen(2048)
                                               : EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519");
    BIO* out = BIO_new(BIO_s_mem());
    PEM_write_bio_PrivateKey(out, key, nullptr, nullptr, 0, nullptr, nullptr);
    char* text = nullptr;
    const long size = BIO_get_mem_data(out, &text);
    auto made = DkimKey::from_pem({text, static_cast<size_t>(size)});
    BIO_free(out);
    EVP_PKEY_free(key);
    return std::make_shared<const DkimKey>(std::move(*made));
}

constexpr std::string_view header =
    "From: Example News <news@example.com>\r\nTo: Ann Example <ann@example.org>\r\n"
    "Subject: Hello Ann, here is the news of this week\r\nDate: Sun, 22 Nov 2026 13:00:00 +0000\r\n"
    "Message-ID: <01JABCDEFGHJK-1@mx.example.com>\r\nMIME-Version: 1.0\r\n"
    "List-Unsubscribe: <https://example.com/u/0123456789abcdef>\r\n"
    "List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"
    "Content-Type: multipart/alternative;\r\n boundary=\"=_0123456789abcdef_0\"\r\n";

void sign_alone(benchmark::State& state, DkimKey::Kind kind) {
    const auto key = fresh_key(kind);
    const Sha256 hash = sha256("x");
    for ([[maybe_unused]] auto _ : state) benchmark::DoNotOptimize(key->sign(hash));
}
void sign_mail(benchmark::State& state, DkimKey::Kind kind) {
    const DkimIdentity identity{"example.com", "s1", fresh_key(kind)};
    const Sha256 body = sha256("x");
    for ([[maybe_unused]] auto _ : state)
        benchmark::DoNotOptimize(dkim_signatures(header, body, {&identity, 1}, {}));
}
BENCHMARK_CAPTURE(sign_alone, rsa2048, DkimKey::Kind::rsa);
BENCHMARK_CAPTURE(sign_mail, rsa2048, DkimKey::Kind::rsa);
BENCHMARK_CAPTURE(sign_alone, ed25519, DkimKey::Kind::ed25519);
BENCHMARK_CAPTURE(sign_mail, ed25519, DkimKey::Kind::ed25519);

// The hop alone: jobs that do nothing, so many at a time.
Task<> hop_many(Worker& worker, int64_t hops) {
    for (int64_t i = 0; i < hops; ++i) co_await worker.run([] {});
}
void signer_hop(benchmark::State& state) {
    constexpr int64_t hops = 1000;
    const int64_t tasks = state.range(0);
    WorkerPool pool("bench", 2, 1);
    auto reactor = std::move(UringReactor::create().value());
    PoolPort port(pool, *reactor);
    for ([[maybe_unused]] auto _ : state) {
        Scope scope;
        for (int64_t i = 0; i < tasks; ++i) scope.spawn(hop_many(port, hops / tasks));
        while (scope.running() > 0) reactor->turn(Instant::max());
    }
    state.SetItemsProcessed(state.iterations() * hops);
}
BENCHMARK(signer_hop)->Arg(1)->Arg(10)->Arg(50)->MeasureProcessCPUTime()->UseRealTime();

}  // namespace
}  // namespace engine
