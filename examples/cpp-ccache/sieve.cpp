#include "sieve.hpp"

std::vector<std::size_t> primes_up_to(std::size_t limit) {
    std::vector<bool> composite(limit + 1);
    std::vector<std::size_t> primes;
    for (std::size_t number = 2; number <= limit; ++number) {
        if (composite[number]) continue;
        primes.push_back(number);
        for (std::size_t multiple = number * number; multiple <= limit; multiple += number) composite[multiple] = true;
    }
    return primes;
}
