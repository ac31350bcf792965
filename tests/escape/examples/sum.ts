// expect: ok
// stdout: 42 typed
const numbers: number[] = [40, 2];
const say = (n: number): string => `${n} typed`;
console.log(say(numbers.reduce((a, b) => a + b)));
