#pragma once
#include <cstddef>
#include <vector>

/// All primes up to and including `limit`, ascending.
std::vector<std::size_t> primes_up_to(std::size_t limit);
