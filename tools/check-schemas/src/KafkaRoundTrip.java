import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.ByteBuffer;
import java.util.Arrays;
import java.util.HexFormat;
import org.apache.kafka.common.message.ApiMessageType;
import org.apache.kafka.common.message.RequestHeaderData;
import org.apache.kafka.common.message.ResponseHeaderData;
import org.apache.kafka.common.protocol.ApiMessage;
import org.apache.kafka.common.protocol.ByteBufferAccessor;
import org.apache.kafka.common.protocol.Message;
import org.apache.kafka.common.protocol.ObjectSerializationCache;

/**
 * Decodes frames with Kafka's own classes and encodes them again. One frame a line on standard input, as
 * "request|response key version hex" (without the frame's size); one line on standard output for each that does not come back as
 * it was, and at the end "N frames".
 */
public class KafkaRoundTrip {
    public static void main(String[] args) throws Exception {
        BufferedReader input = new BufferedReader(new InputStreamReader(System.in));
        int count = 0;
        for (String line = input.readLine(); line != null; line = input.readLine()) {
            String[] parts = line.split(" ");
            boolean isRequest = parts[0].equals("request");
            byte[] frame = HexFormat.of().parseHex(parts[3]);
            String problem = roundTrip(isRequest, Short.parseShort(parts[1]), Short.parseShort(parts[2]), frame);
            if (problem != null) System.out.println(parts[0] + " " + parts[1] + " v" + parts[2] + ": " + problem);
            count++;
        }
        System.out.println(count + " frames");
    }

    private static String roundTrip(boolean isRequest, short key, short version, byte[] frame) {
        try {
            ApiMessageType type = ApiMessageType.fromApiKey(key);
            short headerVersion = isRequest ? type.requestHeaderVersion(version) : type.responseHeaderVersion(version);
            ByteBufferAccessor accessor = new ByteBufferAccessor(ByteBuffer.wrap(frame));
            Message header = isRequest ? new RequestHeaderData() : new ResponseHeaderData();
            ApiMessage body = isRequest ? type.newRequest() : type.newResponse();
            header.read(accessor, headerVersion);
            body.read(accessor, version);
            if (accessor.remaining() > 0) return accessor.remaining() + " bytes left";
            ByteBuffer again = ByteBuffer.allocate(frame.length * 2 + 64);
            write(header, headerVersion, again);
            write(body, version, again);
            byte[] bytes = Arrays.copyOf(again.array(), again.position());
            return Arrays.equals(bytes, frame) ? null : "comes back as " + HexFormat.of().formatHex(bytes);
        } catch (RuntimeException error) {
            return error.toString();
        }
    }

    private static void write(Message message, short version, ByteBuffer output) {
        ObjectSerializationCache cache = new ObjectSerializationCache();
        message.size(cache, version);
        message.write(new ByteBufferAccessor(output), cache, version);
    }
}
