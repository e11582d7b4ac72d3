// SPDX-License-Identifier: Apache-2.0
#include "tap.h"

#include <stdlib.h>

#include "base/rng.h"
#include "base/scope.h"
#include "host/container.h"
#include "host/environ.h"
#include "host/identity.h"
#include "host/text.h"
#include "host/uuid.h"

struct name_case {
	const char *exe, *args, *cwd, *name, *language; /* args: spaces stand for NUL */
};

static const struct name_case names[] = {
	{ "/usr/sbin/nginx", "nginx: worker process", "/", "nginx", NULL },
	{ "/usr/bin/curl", "curl http://127.0.0.1/", "/", "curl", NULL },
	{ "/usr/bin/python3.11", "python3 app.py", "/srv", "app", "python" },
	{ "/usr/bin/python3.11", "python3 -u -X dev -W ignore /srv/shop/cart.py --port 80", "/", "cart", "python" },
	{ "/usr/bin/python3.11", "python3 -um http.server 8000", "/", "http.server", "python" },
	{ "/usr/bin/python3.11", "python3 -c print(1) app.py", "/", "python3.11", "python" },
	{ "/usr/bin/python3.11", "python3", "/", "python3.11", "python" },
	{ "/usr/bin/python3.11", "python3 -", "/", "python3.11", "python" },
	{ "/usr/bin/python3.11", "python3 -m gunicorn -w 4 -b localhost:8000 app:app", "/srv", "app", "python" },
	{ "/usr/bin/python3.11", "python3 /usr/bin/gunicorn shop.wsgi:application -k gthread", "/", "shop", "python" },
	{ "/usr/bin/python3.11", "python3 /usr/bin/gunicorn shop.api:make_app('x')", "/", "shop.api", "python" },
	{ "/usr/bin/python3.11", "python3 /usr/bin/gunicorn -c conf.py", "/", "gunicorn", "python" },
	{ "/usr/bin/python3.11", "gunicorn:\001worker\001[shop.wsgi:app]", "/", "shop", "python" },
	{ "/usr/bin/python3.11", "python3 -m uvicorn main:app --host 0.0.0.0", "/srv/orders", "orders", "python" },
	{ "/usr/bin/python3.11", "python3 -m flask --app hello run", "/", "hello", "python" },
	{ "/usr/bin/python3.11", "python3 -m flask --app=web/front.py:make run", "/", "front", "python" },
	{ "/usr/bin/python3.11", "python3 -m flask run", "/", "flask", "python" },
	{ "/usr/bin/python3.11", "python3 manage.py runserver", "/srv/shop", "shop", "python" },
	{ "/usr/bin/python3.11", "python3 -m cart.__main__", "/", "cart", "python" },
	{ "/usr/local/bin/pypy3.10", "pypy3 worker.py", "/", "worker", "python" },
	{ "/usr/bin/node", "node server.js", "/srv/shop", "server", "nodejs" },
	{ "/usr/bin/node", "node --require ./otel.js -r x --inspect=0 dist/index.js", "/srv/shop", "shop", "nodejs" },
	{ "/usr/bin/node", "node /srv/billing/src/index.mjs", "/", "billing", "nodejs" },
	{ "/usr/bin/node", "node index.js", "/app", "index", "nodejs" },
	{ "/usr/bin/node", "node ../index.js", "/srv", "srv", "nodejs" },
	{ "/usr/bin/node", "node -e 1 server.js", "/", "node", "nodejs" },
	{ "/usr/lib/jvm/java-17/bin/java", "java -Xmx1g -jar /opt/billing.jar --x", "/", "billing", "java" },
	{ "/usr/lib/jvm/java-17/bin/java", "java -cp a.jar:b.jar com.example.Main", "/", "com.example.Main", "java" },
	{ "/usr/lib/jvm/java-17/bin/java", "java -p mods -m shop/com.example.Main", "/", "shop", "java" },
	{ "/usr/lib/jvm/java-17/bin/java", "java Main", "/", "Main", "java" },
	{ "/usr/lib/jvm/java-17/bin/java", "java -version", "/", "java", "java" },
	{ "/usr/bin/ruby3.1", "ruby -rjson api.rb", "/", "api", "ruby" },
	{ "/usr/bin/ruby3.1", "ruby /usr/bin/puma -p 3000", "/srv/shop", "shop", "ruby" },
	{ "/usr/bin/ruby3.1", "puma\0016.4\001(tcp://0.0.0.0:3000)\001[shop]", "/", "shop", "ruby" },
	{ "/usr/bin/php8.2", "php -S 127.0.0.1:80 -t public router.php", "/", "router", "php" },
	{ "/usr/bin/php8.2", "php artisan serve", "/srv/shop", "shop", "php" },
	{ "/usr/sbin/php-fpm8.2", "php-fpm:\001pool\001www", "/", "php-fpm8.2", "php" },
	{ "/usr/bin/perl", "perl -Ilib -MFoo::e tool.pl", "/", "tool", NULL },
	{ "/usr/bin/dotnet", "dotnet Orders.dll --urls http://x", "/", "Orders", "dotnet" },
	{ "/usr/bin/dotnet", "dotnet run", "/", "dotnet", "dotnet" },
	{ "/usr/bin/uwsgi", "uwsgi --http :80 -w shop.wsgi:app", "/", "shop", NULL },
	{ "/usr/bin/nodejsx", "nodejsx a.js", "/", "nodejsx", NULL },
	{ "", "", "", "", NULL },
};

/* spaces separate arguments; \001 stands for a space inside one */
static struct slice make_args(char *to, const char *from)
{
	size_t n = strlen(from);

	for (size_t i = 0; i <= n; i++)
		to[i] = from[i] == ' ' ? '\0' : from[i] == '\001' ? ' ' : from[i];
	return slice_of(to, n ? n + 1 : 0);
}

static void test_identity__names_and_languages(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		const struct name_case *c = &names[i];
		struct program p = { .exe = slice_str(c->exe), .cwd = slice_str(c->cwd) };
		struct identity id;
		char args[256];

		p.args = make_args(args, c->args);
		identity_of(&p, &id);
		CHECK_SLICE(id.name, c->name);
		CHECK(!id.language == !c->language && (!c->language || !strcmp(id.language, c->language)));
		if (tap_bad) {
			printf("# case: %s\n", c->args);
			return;
		}
	}
}

/* Any bytes as arguments: the name is a part of what was given. */
static void test_identity__random_arguments(void)
{
	static const char *const pieces[] = { "-", "--", "-m", "-c", ":", "[", "]", "gunicorn: ", "/", "..", "=", "\0", "a", "main", ".py", "--app" };
	static const char *const exes[] = { "python3", "/x/node", "java", "ruby", "php", "uwsgi", "dotnet", "deno" };
	struct rng r;

	rng_seed(&r, 3, 4);
	for (int round = 0; round < 20000; round++) {
		const char *exe = exes[rng_next(&r) % ARRAY_SIZE(exes)];
		_free_ char *args = malloc(512);
		struct identity id;
		size_t n = 0;

		for (uint64_t k = rng_next(&r) % 24; k; k--) {
			const char *piece = pieces[rng_next(&r) % ARRAY_SIZE(pieces)];
			size_t len = *piece ? strlen(piece) : 1;

			memcpy(args + n, piece, len);
			n += len;
		}
		args = realloc(args, n ? n : 1); /* so that a sanitizer sees a read past the end */
		identity_of(&(struct program){ slice_str(exe), slice_of(args, n), SLICE("/srv/x") }, &id);
		CHECK(id.name.n > 0 && id.name.n <= n + 16);
	}
}

#define ID_A "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define ID_B "fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210"

static void test_container__every_driver(void)
{
	static const char *const inside[] = {
		"0::/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod12345678_1234_1234_1234_123456789abc.slice/cri-containerd-" ID_A ".scope",
		"0::/kubepods.slice/kubepods-podx.slice/crio-" ID_A ".scope/container",
		"0::/kubepods/burstable/pod12345678-1234/" ID_A,
		"0::/system.slice/containerd.service/kubepods-besteffort-pod1.slice:cri-containerd:" ID_A,
		"0::/docker/" ID_B "/kubelet.slice/kubelet-kubepods.slice/cri-containerd-" ID_A ".scope",
		"0::/docker/" ID_A,
		"0::/system.slice/docker-" ID_A ".scope/user.slice/x.service",
		"0::/machine.slice/libpod-" ID_A ".scope/container",
		"0::/../../pod12345678/" ID_A,
		"12:pids:/\n3:cpu,cpuacct:/docker/" ID_A "\n0::/",
		/* the table of specs.md, row by row, as far as it is not above */
		"0::/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod1_2.slice/crio-" ID_A ".scope",
		"0::/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod1_2.slice/docker-" ID_A ".scope",
		"0::/kubepods.slice/kubepods-pod12345678_1234_1234_1234_123456789abc.slice/cri-containerd-" ID_A ".scope",
		"0::/kubepods/besteffort/pod12345678-1234/" ID_A,
		"0::/kubepods/pod0123456789abcdef0123456789abcdef/" ID_A, /* a static pod of the highest class */
		"11:memory:/kubepods/burstable/pod12345678-1234/" ID_A "\n1:name=systemd:/kubepods/burstable/pod12345678-1234/" ID_A "\n0::/",
		"11:memory:/kubepods.slice/kubepods-pod1_2.slice/cri-containerd-" ID_A ".scope\n0::/kubepods.slice/kubepods-pod1_2.slice/cri-containerd-" ID_A ".scope",
		"11:memory:/system.slice/containerd.service/kubepods-burstable-pod1_2.slice:cri-containerd:" ID_A,
		"0::/docker/" ID_B "/kubelet/kubepods/burstable/pod1-2/" ID_A,
		"0::/docker/" ID_B "/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-pod1_2.slice/cri-containerd-" ID_A ".scope",
		"0::/system.slice/docker-" ID_B ".scope/kubelet/kubepods/pod1/" ID_A,
		"0::/system.slice/docker-" ID_A ".scope",
		"0::/machine.slice/libpod-" ID_A ".scope",
		"0::/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-" ID_A ".scope/container",
		"0::/../cri-containerd-" ID_A ".scope",
	};
	static const char *const outside[] = {
		"0::/", "", "0::/system.slice/containerd.service", "0::/user.slice/user-0.slice/session-1.scope",
		"0::/machine.slice/libpod-conmon-" ID_A ".scope", "0::/kubepods.slice/crio-conmon-" ID_A ".scope",
		"0::/system.slice/kubelet.service", "0::/init.scope", "0::/kubepods/pod0123456789abcdef0123456789abcdef",
		"0::/docker/" ID_A "0", "0::/x/z" ID_A, "0::/docker/0123", ID_A, "0:" ID_A,
	};

	for (size_t i = 0; i < ARRAY_SIZE(inside); i++)
		CHECK_SLICE(container_id(slice_str(inside[i])), ID_A);
	for (size_t i = 0; i < ARRAY_SIZE(outside); i++)
		CHECK_SLICE(container_id(slice_str(outside[i])), "");
}

struct seen {
	char text[256];
};

static void see(void *arg, struct slice key, struct slice value)
{
	struct seen *s = arg;
	size_t n = strlen(s->text);

	snprintf(s->text + n, sizeof(s->text) - n, "[%.*s|%.*s]", SLICE_ARG(key), SLICE_ARG(value));
}

static const char *attributes(struct seen *s, struct slice list)
{
	char room[512];

	*s = (struct seen){ 0 };
	return environ_attributes(list, room, see, s) ? "bad" : s->text;
}

static void test_environ__list_of_attributes(void)
{
	struct seen s;

	CHECK(!strcmp(attributes(&s, SLICE("a=b,c=d")), "[a|b][c|d]"));
	CHECK(!strcmp(attributes(&s, SLICE(" a = b%2Cc%3dd ,, e=f=g,")), "[a|b,c=d][e|f=g]"));
	CHECK(!strcmp(attributes(&s, SLICE("a=")), "[a|]"));
	CHECK(!strcmp(attributes(&s, SLICE("")), ""));
	/* one error and nothing of the list counts */
	CHECK(!strcmp(attributes(&s, SLICE("a=b,c=%4")), "bad"));
	CHECK(!strcmp(attributes(&s, SLICE("a=b,c=%gg")), "bad"));
	CHECK(!strcmp(attributes(&s, SLICE("a=b,nothing")), "bad"));
	CHECK(!strcmp(attributes(&s, SLICE("a=b,=c")), "bad"));
	CHECK(!strcmp(attributes(&s, SLICE("a=b\nc")), "bad"));
}

static void test_environ__get(void)
{
	struct slice env = SLICE("XOTEL_SERVICE_NAME=no\0OTEL_SERVICE_NAMES=no\0OTEL_SERVICE_NAME=shop\0OTEL_SERVICE_NAME=two\0CUT=of");

	CHECK_SLICE(environ_get(env, SLICE("OTEL_SERVICE_NAME")), "shop");
	CHECK_SLICE(environ_get(env, SLICE("CUT")), "");
	CHECK_SLICE(environ_get(SLICE_NONE, SLICE("A")), "");
}

static void test_text__clean(void)
{
	char to[32];

	CHECK_INT(text_clean(to, sizeof(to), SLICE("a\nb\x7f\xc3\xa4\xff\xed\xa0\x80\xc2\x85z")), 12);
	CHECK(!memcmp(to, "a?b?\xc3\xa4?????z", 12));
	CHECK_INT(text_clean(to, 3, SLICE("ab\xc3\xa4")), 2); /* never half a character */
	CHECK_INT(text_clean(to, 3, SLICE("a\xe2\x82")), 3);
	CHECK_SLICE(text_base(SLICE("/a/b//")), "b");
	CHECK_SLICE(text_base(SLICE("/")), "");
}

static void test_uuid__known_values(void)
{
	/* from Python's uuid.uuid5 */
	static const uint8_t dns[16] = { 0x6b, 0xa7, 0xb8, 0x10, 0x9d, 0xad, 0x11, 0xd1,
					 0x80, 0xb4, 0x00, 0xc0, 0x4f, 0xd4, 0x30, 0xc8 };
	/* uuid5(NAMESPACE_DNS, "x" * n): lengths around SHA-1's padding */
	static const struct {
		size_t n;
		const char *want;
	} cases[] = {
		{ 39, "2f80c0d1-1c62-579f-8d68-e61ad5592c9b" }, { 40, "e56fd57a-7633-5e1d-8f80-70e05ac413e5" },
		{ 47, "a112377b-8258-5ef7-b5b0-d2540bc03abb" }, { 48, "83993b6c-dea9-55ca-be5b-9989c85943fc" },
		{ 55, "4c506c2a-c3a2-508b-b2ce-25c3a06bf481" }, { 200, "ddcc691a-b8e2-53e5-b059-6a232874b2eb" },
	};
	char to[UUID_TEXT], x[200];

	uuid_v5(to, dns, SLICE("python.org"));
	CHECK_SLICE(slice_of(to, UUID_TEXT), "886313e1-3b8a-5372-9b90-0c9aee199e5d");
	memset(x, 'x', sizeof(x));
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		uuid_v5(to, dns, slice_of(x, cases[i].n));
		CHECK_SLICE(slice_of(to, UUID_TEXT), cases[i].want);
	}
}

int main(void)
{
	RUN(test_identity__names_and_languages);
	RUN(test_identity__random_arguments);
	RUN(test_container__every_driver);
	RUN(test_environ__list_of_attributes);
	RUN(test_environ__get);
	RUN(test_text__clean);
	RUN(test_uuid__known_values);
	return tap_done();
}
