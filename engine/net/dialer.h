// dial: one TCP or Unix connection, from a chosen source address.
#pragma once

#include <list>
#include <memory>

#include "engine/net/stream.h"

namespace engine {

/// Dials under way, so that their owner can give them up.
class Dials {
  public:
    /// Each ends soon with the error `cancelled`, unless it was faster.
    void give_up(Reactor& reactor) const {
        for (Op* connect : under_way_) reactor.cancel(*connect);
        for (Stream* stream : at_proxies_) stream->close();
    }
    /// A connection that a proxy has still to make of its own, as long as this lives.
    class AtProxy {
      public:
        AtProxy(Dials& dials, Stream& stream)
            : dials_(dials), place_(dials.at_proxies_.insert(dials.at_proxies_.end(), &stream)) {}
        AtProxy(const AtProxy&) = delete;
        AtProxy& operator=(const AtProxy&) = delete;
        ~AtProxy() { dials_.at_proxies_.erase(place_); }

      private:
        Dials& dials_;
        std::list<Stream*>::iterator place_;
    };

  private:
    friend Task<Result<std::unique_ptr<Stream>>> dial(Reactor&, SocketAddress, const SocketAddress*,
                                                      Instant, Dials*);
    std::list<Op*> under_way_;
    std::list<Stream*> at_proxies_;
};

/// Connects to `to`; from `from` unless it is null (its port 0: the kernel's choice). `from` must
/// stay valid until the task ends, and so must `dials`, which may be null. Errors: timeout,
/// refused, unreachable, reset, busy (no descriptor or port left), cancelled, system.
Task<Result<std::unique_ptr<Stream>>> dial(Reactor& reactor, SocketAddress to,
                                           const SocketAddress* from, Instant deadline,
                                           Dials* dials = nullptr);

}  // namespace engine
