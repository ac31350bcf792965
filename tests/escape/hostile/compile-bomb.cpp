// expect: compile_error
template <int N> struct S { static const int v = S<N - 1>::v + S<N - 2>::v + sizeof(char[N]); };
template <class T, int N> struct D { D<D<T, N - 1>, N - 1> a; D<D<T, N - 1>, N - 1> b; };
int main() { D<int, 900> d; return sizeof d; }
