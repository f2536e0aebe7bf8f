// Which tenants have a suppression list at all, so that the mail of the others costs no look at it.
#pragma once

#include <atomic>
#include <map>
#include <mutex>
#include <string>
#include <string_view>

#include "storage/types.h"

namespace storage {

class SuppressedTenants {
  public:
    /// Its list has had an addition when `last` was the highest job id.
    void added(const std::string& tenant, JobId last);
    /// The highest job whose recipients may not all have been compared with the list, the tenant's
    /// or everybody's, as it is now; 0: there is no list.
    JobId upto(std::string_view tenant) const;
    JobId upto_of(std::string_view list) const;  // of that one list

  private:
    mutable std::mutex mutex_;
    std::map<std::string, JobId, std::less<>> upto_;
    std::atomic<bool> any_{false};
};

}  // namespace storage
