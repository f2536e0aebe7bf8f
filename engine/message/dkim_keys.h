// DkimKeys: which identities sign which mail. Immutable; a reload makes another one.
#pragma once

#include <cstdint>
#include <expected>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "engine/message/dkim.h"
#include "engine/message/dkim_entry.h"

namespace engine {

class DkimKeys {
  public:
    static constexpr size_t signatures_max = 8;  // of one mail; receivers look at few

    /// What came of one entry's key file.
    struct Report {
        std::string entry;    // "s1._domainkey.example.com", where its DNS record stands
        std::string summary;  // "RSA of 2048 bits, /etc/sluice/s1.pem"
        std::string record;   // the DNS record's text; empty with a problem
        std::string problem;  // why the key cannot be used; with the way to mend it
        std::string warning;  // what is unwise about it
    };
    struct Loaded;
    /// Reads the key files: blocks. One report per entry, in order.
    static Loaded load(const std::vector<DkimEntry>& entries);

    bool empty() const { return rules_.empty(); }
    /// Those that sign mail with this From domain (lower case, A-labels) of this tenant: the
    /// entries of that very domain; when it has none, those of the nearest parent that signs for
    /// its subdomains; and the entries that sign everything.
    std::vector<DkimIdentity> find(std::string_view domain, std::string_view tenant) const;

  private:
    struct Rule {
        DkimIdentity identity;
        std::string tenant;  // empty: any
        DkimEntry::Signs signs{};
    };
    std::vector<Rule> rules_;
};

struct DkimKeys::Loaded {
    std::shared_ptr<const DkimKeys> keys;  // null when an entry has a problem
    std::vector<Report> reports;
};

/// The domain of a header's From (its first mailbox), as DkimKeys::find takes it; empty when there
/// is none.
std::string from_domain(std::string_view header);

}  // namespace engine
