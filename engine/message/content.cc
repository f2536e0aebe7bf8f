#include "engine/message/content.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>

#include "engine/message/assemble.h"
#include "engine/message/encode.h"
#include "engine/message/headers.h"
#include "engine/message/limits.h"
#include "engine/message/program.h"
#include "engine/message/raw.h"
#include "engine/message/relaxed.h"
#include "engine/message/varint.h"
#include "storage/ids.h"

namespace engine {
namespace {

constexpr size_t no_slot = variables_max;

/// Ours, whatever the submitter's variables say: an address or an id that is not the delivery's
/// would mislead.
bool is_reserved(std::string_view name) {
    return name == "to" || name == "id";
}

/// A hash that is computed when it is first asked for. Threads that ask at the same time all
/// compute it, which is rare and cheaper than a wait.
class BodyHash {
  public:
    Sha256 of(std::string_view body) const {
        if (step_.load(std::memory_order_acquire) == Step::known) return hash_;
        const Sha256 hash = relaxed_body_hash(body);
        Step none = Step::none;
        if (step_.compare_exchange_strong(none, Step::writing, std::memory_order_relaxed)) {
            hash_ = hash;
            step_.store(Step::known, std::memory_order_release);
        }
        return hash;
    }

  private:
    enum class Step : uint8_t { none, writing, known };
    mutable std::atomic<Step> step_{Step::none};
    mutable Sha256 hash_{};
};

}  // namespace

struct Content::State {
    explicit State(Program compiled) : program(std::move(compiled)) {
        slots.resize(program.variables.size());
        for (size_t i = 0; i < slots.size(); ++i) slots[i].by_name = static_cast<uint16_t>(i);
        std::ranges::sort(slots, {}, [&](const Slot& slot) {
            return std::string_view(program.variables[slot.by_name]);
        });
        to_slot = find("to");
        id_slot = find("id");
        for (size_t i = 0; i < program.ops.size(); ++i) {
            const Op& op = program.ops[i];
            if (op.kind == Op::Kind::value || op.kind == Op::Kind::field_value)
                ++slots[op.slot].uses;
            if (op.kind == Op::Kind::field_value) slots[op.slot].in_header = true;
            bool from =
                op.kind == Op::Kind::field_begin &&
                same_name(std::string_view(program.octets).substr(op.offset, op.length), "From");
            if (from) from_field = i;
        }
        constant = program.constant();
        body = program.constant_body();
        utf8_header = program.utf8_header();
    }

    size_t find(std::string_view name) const {
        const auto at = std::ranges::lower_bound(slots, name, {}, [&](const Slot& slot) {
            return std::string_view(program.variables[slot.by_name]);
        });
        const bool known = at != slots.end() && program.variables[at->by_name] == name;
        return known ? at->by_name : no_slot;
    }

    /// The submitter's values by slot; of a name that is given twice the last counts.
    Slots values_of(const Vars& vars) const {
        Slots values(program.variables.size());
        for (auto [name, value] : vars)
            if (size_t slot = find(name); slot != no_slot && !is_reserved(name))
                values[slot] = value;
        return values;
    }

    Program program;
    /// What is known of a variable, and, beside it in the same place, which one comes there in the
    /// order of the names.
    struct Slot {
        uint16_t by_name = 0;
        bool in_header = false;  // a header field writes it
        uint32_t uses = 0;
    };
    std::vector<Slot> slots;
    size_t to_slot = no_slot, id_slot = no_slot;
    std::optional<size_t> from_field;  // its op, when From holds placeholders
    bool constant = false, utf8_header = false;
    std::optional<std::string_view> body;  // when it is the same for all
    BodyHash body_hash;
};

Content::Content(std::shared_ptr<const State> state) : state_(std::move(state)) {}
Content::Content(Content&&) noexcept = default;
Content& Content::operator=(Content&&) noexcept = default;
Content::~Content() = default;

std::expected<Content, Problems> Content::assemble(const MailParts& parts, const Origin& origin) {
    auto program = assemble_program(parts, origin);
    if (!program) return std::unexpected(std::move(program.error()));
    return from_program(std::move(*program));
}

std::expected<Content, Problems> Content::from_raw(std::string_view raw, Templating templating,
                                                   const Origin& origin) {
    auto program = compile_raw(raw, templating, origin);
    if (!program) return std::unexpected(std::move(program.error()));
    return from_program(std::move(*program));
}

std::expected<Content, Problems> Content::from_program(Program program) {
    if (program.variables.size() > variables_max)
        return std::unexpected(Problems{{"content.template_too_many",
                                         fmt::format("placeholders name {} variables, more than {}",
                                                     program.variables.size(), variables_max),
                                         "content", "use fewer variables"}});
    if (program.ops.size() > operations_max)
        return std::unexpected(Problems{{"content.template_too_many",
                                         "the placeholders of all texts together are too many",
                                         "content", "use fewer placeholders"}});
    if (program.octets.size() > content_bytes_max)
        return std::unexpected(
            Problems{{"content.too_large",
                      fmt::format("the mail has {} octets once encoded, more than {}",
                                  program.octets.size(), content_bytes_max),
                      "content", "send smaller parts, or links to them"}});
    return Content(std::make_shared<const State>(std::move(program)));
}

std::string Content::encode() const {
    return state_->program.encode();
}

std::expected<Content, std::string> Content::decode(std::string_view bytes) {
    auto program = Program::decode(bytes);
    if (!program) return std::unexpected(std::move(program.error()));
    return Content(std::make_shared<const State>(std::move(*program)));
}

const std::vector<std::string>& Content::variables() const {
    return state_->program.variables;
}

std::string Content::encode_vars(const Vars& vars) const {
    Slots slots = state_->values_of(vars);
    while (!slots.empty() && slots.back().empty()) slots.pop_back();
    std::string out;
    for (std::string_view value : slots) put_text(out, value);
    return out;
}

bool Content::same_for_all() const {
    return state_->constant;
}

std::string Content::render(const Merge& merge) const {
    const State& state = *state_;
    Slots slots(state.program.variables.size());
    // A damaged record of variables renders as if the rest were missing.
    VarintReader in(merge.vars);
    for (size_t i = 0; i < slots.size() && in.ok() && !in.done(); ++i)
        slots[i] = in.text(merge.vars.size());
    std::string id;
    if (state.to_slot != no_slot) slots[state.to_slot] = merge.to;
    if (state.id_slot != no_slot) slots[state.id_slot] = id = storage::to_text(merge.id);
    return state.program.run(slots, merge.to);
}

Problems Content::check_vars(const Vars& vars, std::string_view field_prefix) const {
    const State& state = *state_;
    Problems problems;
    auto wrong = [&](std::string_view code, std::string_view name, std::string message,
                     std::string_view hint) {
        problems.push_back({std::string(code), std::move(message),
                            fmt::format("{}{}", field_prefix, name), std::string(hint)});
    };
    size_t values = 0;
    for (auto [name, value] : vars) {
        size_t slot = state.find(name);
        if (slot == no_slot) continue;
        if (is_reserved(name)) {
            wrong("vars.reserved", name, fmt::format("'{}' is predefined", name),
                  "give the variable another name, there and in the placeholders");
            continue;
        }
        if (state.slots[slot].in_header && has_line_end_or_nul(value))
            wrong("vars.header_injection", name,
                  "a value that a header field uses holds CR, LF or NUL", "send it as one line");
        else if (value.find('\0') != std::string_view::npos)
            wrong("vars.nul", name, "the value holds NUL", "take it out");
        if (!is_utf8(value)) wrong("vars.not_utf8", name, "the value is not UTF-8", "send UTF-8");
        // Compared before it is added to: both are bounded by what memory holds, their product is
        // not.
        const size_t uses = state.slots[slot].uses;
        if (uses != 0 && value.size() > content_bytes_max / uses)
            values = content_bytes_max;
        else
            values = std::min(content_bytes_max, values + value.size() * uses);
    }
    if (values + state.program.octets.size() > content_bytes_max)
        wrong("vars.too_large", "",
              fmt::format("the mail would be over {} octets", content_bytes_max),
              "send shorter values, or use them less often");
    if (problems.empty() && state.from_field) {
        Slots slots = state.values_of(vars);
        auto [from, end] = state.program.field_value(*state.from_field, slots);
        MailboxList list = parse_mailboxes(from);
        if (list.mailboxes.empty())
            wrong("vars.from_missing", "",
                  "From has no address with these values" +
                      (list.problem.empty() ? std::string() : ": " + list.problem),
                  "give the variables that content.from uses");
    }
    return problems;
}

std::optional<Sha256> Content::constant_body_hash() const {
    if (!state_->body) return std::nullopt;
    return state_->body_hash.of(*state_->body);
}

bool Content::eight_bit() const {
    return state_->program.eight_bit;
}

bool Content::utf8_header() const {
    return state_->utf8_header;
}

uint64_t Content::bytes() const {
    const State& state = *state_;
    uint64_t names = 0;
    for (const std::string& name : state.program.variables) names += sizeof(name) + name.capacity();
    return sizeof(State) + state.program.octets.capacity() +
           state.program.ops.capacity() * sizeof(Op) + names +
           state.slots.capacity() * sizeof(State::Slot);
}

uint64_t Content::rendered_bytes_hint() const {
    constexpr uint64_t value_bytes_guess = 24;
    uint64_t values = 0;
    for (const State::Slot& slot : state_->slots) values += slot.uses;
    return state_->program.octets.size() + values * value_bytes_guess;
}

}  // namespace engine
