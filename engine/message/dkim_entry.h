// DkimEntry: one [[dkim]] of the configuration.
#pragma once

#include <cstdint>
#include <string>

namespace engine {

struct DkimEntry {
    enum class Signs : uint8_t {
        own,         // mail whose From is in this very domain
        subdomains,  // also those below it that have no entry of their own
        all          // all mail: a platform's own signature beside its customers'
    };
    std::string domain, selector;  // lower case, A-labels
    std::string key;               // path of a PEM file
    std::string tenant;            // signs only this tenant's mail; empty: everybody's
    Signs signs = Signs::own;
    bool operator==(const DkimEntry&) const = default;
};

}  // namespace engine
