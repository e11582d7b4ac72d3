// SPDX-License-Identifier: Apache-2.0
import com.sun.net.httpserver.HttpsConfigurator;
import com.sun.net.httpserver.HttpsServer;
import java.io.FileInputStream;
import java.net.InetSocketAddress;
import java.net.URI;
import java.security.KeyStore;
import java.util.Arrays;
import javax.net.ssl.HttpsURLConnection;
import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.SSLContext;
import javax.net.ssl.TrustManager;
import javax.net.ssl.X509TrustManager;

/**
 * HTTP/1.1 over Java's own TLS. serve PORT STORE: answers /status/N with N. call PORT STORE PATH...: asks for them on a connection that
 * is kept, prints a line for each: path, status. STORE is PKCS#12, its password "spandrel".
 */
public final class Jsse {
	private static SSLContext context(String store) throws Exception {
		char[] password = "spandrel".toCharArray();
		KeyStore keys = KeyStore.getInstance("PKCS12");
		try (FileInputStream in = new FileInputStream(store)) {
			keys.load(in, password);
		}
		KeyManagerFactory own = KeyManagerFactory.getInstance("PKIX");
		own.init(keys, password);
		X509TrustManager anyone = new X509TrustManager() {
			public void checkClientTrusted(java.security.cert.X509Certificate[] chain, String type) {}
			public void checkServerTrusted(java.security.cert.X509Certificate[] chain, String type) {}
			public java.security.cert.X509Certificate[] getAcceptedIssuers() {
				return new java.security.cert.X509Certificate[0];
			}
		};
		SSLContext c = SSLContext.getInstance("TLS");
		c.init(own.getKeyManagers(), new TrustManager[] { anyone }, null);
		return c;
	}

	private static void serve(int port, SSLContext tls) throws Exception {
		HttpsServer server = HttpsServer.create(new InetSocketAddress("127.0.0.1", port), 16);
		server.setHttpsConfigurator(new HttpsConfigurator(tls));
		server.createContext("/status/", exchange -> {
			String path = exchange.getRequestURI().getPath();
			exchange.sendResponseHeaders(Integer.parseInt(path.substring(path.lastIndexOf('/') + 1)), 3);
			exchange.getResponseBody().write("ok\n".getBytes());
			exchange.close();
		});
		server.start();
	}

	private static void call(int port, SSLContext tls, String[] paths) throws Exception {
		HttpsURLConnection.setDefaultSSLSocketFactory(tls.getSocketFactory());
		HttpsURLConnection.setDefaultHostnameVerifier((host, session) -> true);
		for (String path : paths) {
			HttpsURLConnection c = (HttpsURLConnection) URI.create("https://127.0.0.1:" + port + path).toURL().openConnection();
			int status = c.getResponseCode();
			(status < 400 ? c.getInputStream() : c.getErrorStream()).readAllBytes();
			System.out.println(path + " " + status);
		}
	}

	public static void main(String[] args) throws Exception {
		int port = Integer.parseInt(args[1]);
		if (args[0].equals("serve"))
			serve(port, context(args[2]));
		else
			call(port, context(args[2]), Arrays.copyOfRange(args, 3, args.length));
	}
}
