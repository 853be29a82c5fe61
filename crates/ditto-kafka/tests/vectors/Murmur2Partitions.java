import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import org.apache.kafka.common.utils.Utils;

/** Writes murmur2-partitions.tsv: java -cp "<kafka jars>/*" Murmur2Partitions.java > murmur2-partitions.tsv */
public class Murmur2Partitions {
    public static void main(String[] arguments) {
        List<byte[]> keys = new ArrayList<>();
        for (int length = 0; length <= 17; length++) {
            keys.add("abcdefghijklmnopq".substring(0, length).getBytes(StandardCharsets.UTF_8));
        }
        for (int n = 0; n < 20; n++) {
            keys.add(("org.eclipse.ditto:fleet-" + n).getBytes(StandardCharsets.UTF_8));
        }
        for (String text : new String[] {"key", "ключ", "zażółć 😀", "a/b#3", " ", "key1/with/slashes"}) {
            keys.add(text.getBytes(StandardCharsets.UTF_8));
        }
        for (int value : new int[] {0, 1, 127, 128, 255}) {
            keys.add(new byte[] {(byte) value});
            keys.add(new byte[] {(byte) value, (byte) value, (byte) value, (byte) value, (byte) value});
        }
        keys.add("x".repeat(1024).getBytes(StandardCharsets.UTF_8));
        System.out.println("# key in hex, then the partition of 1, 3, 7 and 50; by the Java client's Utils.murmur2");
        for (byte[] key : keys) {
            StringBuilder line = new StringBuilder(HexFormat.of().formatHex(key));
            for (int partitions : new int[] {1, 3, 7, 50}) {
                line.append('\t').append(Utils.toPositive(Utils.murmur2(key)) % partitions);
            }
            System.out.println(line);
        }
    }
}
