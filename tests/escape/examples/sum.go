// expect: ok
// stdout: 42 going
package main

import (
	"fmt"
	"sync"
)

func main() {
	var wait sync.WaitGroup
	parts := make(chan int, 2)
	for _, n := range []int{40, 2} {
		wait.Add(1)
		go func(n int) { defer wait.Done(); parts <- n }(n)
	}
	wait.Wait()
	fmt.Println(<-parts+<-parts, "going")
}
