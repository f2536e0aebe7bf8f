// Rendering of compiled contents: what one delivery costs before it is signed and sent.
#include <benchmark/benchmark.h>

#include "engine/message/content.h"

namespace {

using engine::Content;

const engine::Origin origin{.host = "mx.example.com", .job = storage::JobId{7}};
const Content::Vars vars = {{"name", "Ann"},   {"token", "tk_83hf92hf"}, {"city", "Berlin"},
                            {"plan", "basic"}, {"price", "12.90"},       {"order", "A-1009"}};

/// `placeholders` spread over about `bytes` of html.
Content html_of(size_t bytes, size_t placeholders) {
    constexpr std::string_view names[] = {"name", "token", "city", "plan", "price", "order"};
    constexpr std::string_view line =
        "<p>Some words that everybody reads, in lines of a usual length.</p>\n";
    engine::MailParts parts;
    parts.from = "News <news@example.com>";
    parts.subject = "News for you";
    parts.html = "";
    for (size_t i = 0; i < placeholders; ++i) {
        size_t upto = bytes * (i + 1) / (placeholders + 1);
        while (parts.html->size() < upto) *parts.html += line;
        *parts.html += "<p>Dear {{" + std::string(names[i % 6]) + "}}, yes</p>\n";
    }
    while (parts.html->size() < bytes) *parts.html += line;
    return std::move(*Content::assemble(parts, origin));
}

void render(benchmark::State& state) {
    auto content =
        html_of(static_cast<size_t>(state.range(0)), static_cast<size_t>(state.range(1)));
    std::string encoded = content.encode_vars(vars);
    size_t bytes = 0;
    for (auto _ : state) {
        std::string mail =
            content.render({.id = {origin.job, 1}, .to = "ann@example.org", .vars = encoded});
        bytes += mail.size();
        benchmark::DoNotOptimize(mail.data());
    }
    state.SetBytesProcessed(static_cast<int64_t>(bytes));
}
BENCHMARK(render)->Args({2'400, 8})->Args({50 << 10, 3})->Args({50 << 10, 0});

/// The floor: allocating and filling a string of the same size.
void copy(benchmark::State& state) {
    std::string from(static_cast<size_t>(state.range(0)), 'x');
    for (auto _ : state) {
        std::string to(from);
        benchmark::DoNotOptimize(to.data());
    }
    state.SetBytesProcessed(state.range(0) * static_cast<int64_t>(state.iterations()));
}
BENCHMARK(copy)->Arg(2'400)->Arg(50 << 10);

/// A mail of plain text as the object form has it; some of its lines end in a blank, so that it
/// goes as quoted-printable.
void assemble(benchmark::State& state) {
    constexpr std::string_view words =
        "the quick brown fox jumps over the lazy dog while sixty zippers were quickly picked ";
    engine::MailParts parts;
    parts.from = "News <news@example.com>";
    parts.subject = "News for you";
    parts.text = "";
    while (parts.text->size() < static_cast<size_t>(state.range(0))) {
        const size_t start = parts.text->size() * 7 % words.size();
        for (size_t i = 0; i < 72; ++i) *parts.text += words[(start + i) % words.size()];
        *parts.text += '\n';
    }
    for (auto _ : state) {
        auto content = Content::assemble(parts, origin);
        benchmark::DoNotOptimize(content);
    }
}
BENCHMARK(assemble)->Arg(200)->Arg(2'048)->Arg(50 << 10);

/// A message as SMTP brings it.
void from_raw(benchmark::State& state) {
    std::string raw =
        "From: News <news@example.com>\r\nTo: Ann <ann@example.org>\r\nSubject: News\r\n"
        "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\n";
    while (raw.size() < static_cast<size_t>(state.range(0)))
        raw += "Some words that everybody reads, in lines of a usual length.\r\n";
    for (auto _ : state) {
        auto content = Content::from_raw(raw, engine::Templating::off, origin);
        benchmark::DoNotOptimize(content);
    }
}
BENCHMARK(from_raw)->Arg(2'048)->Arg(50 << 10);

void encode_content(benchmark::State& state) {
    const Content content = html_of(static_cast<size_t>(state.range(0)), 3);
    for (auto _ : state) {
        std::string record = content.encode();
        benchmark::DoNotOptimize(record.data());
    }
}
BENCHMARK(encode_content)->Arg(2'400);

void encode_vars(benchmark::State& state) {
    auto content = html_of(2'400, 8);
    for (auto _ : state) benchmark::DoNotOptimize(content.encode_vars(vars));
}
BENCHMARK(encode_vars);

void decode_content(benchmark::State& state) {
    std::string record = html_of(50 << 10, 3).encode();
    for (auto _ : state) benchmark::DoNotOptimize(Content::decode(record));
}
BENCHMARK(decode_content);

}  // namespace
