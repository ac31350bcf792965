// expect: ok
// stdout: 42 brewing
import java.util.stream.IntStream;

public class Main {
    public static void main(String[] arguments) throws Exception {
        Thread quiet = new Thread(() -> { });
        quiet.start();
        quiet.join();
        System.out.println(IntStream.of(40, 2).sum() + " brewing");
    }
}
