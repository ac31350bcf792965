// expect: ok
// stdout: a-b
#include <fstream>
#include <iostream>
#include <thread>
int main() { std::thread t([] { std::ofstream("f") << "a-b"; }); t.join(); std::string s; std::ifstream("f") >> s; std::cout << s << "\n"; }
