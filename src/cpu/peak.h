// What lives here: what this machine's CPU can do, measured: the shares that a profile states are of these.
#pragma once
#include <cstdint>

namespace keras::cpu {

struct Peak {
  double flops = 0;  // fused multiply-adds on float32, two operations each, per second
  double bytes = 0;  // read and written in memory, per second: a = b + s c on arrays far larger than the caches
  int threads = 1;
};
/// Of the pool's threads together, the best of some rounds; takes about a quarter of a second.
Peak measure_peak();

}  // namespace keras::cpu
