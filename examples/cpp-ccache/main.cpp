#include <cstdlib>
#include <iostream>

#include "sieve.hpp"

int main(int count, char **arguments) {
    const std::size_t limit = count > 1 ? std::strtoul(arguments[1], nullptr, 10) : 100;
    for (const auto prime : primes_up_to(limit)) std::cout << prime << '\n';
}
