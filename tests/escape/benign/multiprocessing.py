# expect: ok
# stdout: [0, 1, 4, 9]
from multiprocessing import Pool
def square(n):
    return n * n
if __name__ == "__main__":
    with Pool(2) as p:
        print(p.map(square, range(4)))
