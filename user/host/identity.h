/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a program is called and what it is written in, from its executable's path and arguments
 * alone (so that a recording gives the same answer). An interpreter is named after what it runs:
 *
 *   python app.py → app            python -m http.server → http.server
 *   node server.js → server        gunicorn shop.wsgi:app → shop
 *   java -jar x.jar → x            node dist/index.js in /srv/shop → shop
 *   dotnet Orders.dll → Orders     java com.example.Main → com.example.Main
 *
 * Names that say nothing (index, main, manage, wsgi …) give way to the directory they are in.
 * Everything else, and an interpreter whose program is not a file (python -c), is named after its
 * executable.
 */
#ifndef SPANDREL_HOST_IDENTITY_H
#define SPANDREL_HOST_IDENTITY_H

#include "base/slice.h"

struct program {
	struct slice exe;  /* path of the executable */
	struct slice args; /* NUL-separated, argv[0] first */
	struct slice cwd;  /* may be empty */
};

struct identity {
	struct slice name;    /* part of one of the program's texts; empty when nothing is known */
	const char *language; /* of telemetry.sdk.language, NULL: not an interpreter that we know */
	const char *runtime;  /* of process.runtime.name, NULL when not sure */
};

void identity_of(const struct program *p, struct identity *out);

/* Takes one argument off NUL-separated text; false at the end. */
bool args_next(struct slice *rest, struct slice *arg);

#endif
