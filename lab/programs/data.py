# SPDX-License-Identifier: Apache-2.0
"""Databases, message queues and controllers: PostgreSQL, Redis, MQTT, Modbus."""

import shutil

from scenario import client, server, shape

shape("postgresql", conversations=(5, 9), ports=(5432, 5432, 5432, 5433))
shape("redis", conversations=(6, 12), ports=(6379, 6379, 6380))
shape("mqtt", conversations=(6, 11), ports=(1883, 1883, 1884))
shape("modbus", conversations=(6, 11), ports=(502, 502, 1502))
POSTGRES = "/usr/lib/postgresql/15/bin/"


AS_POSTGRES = ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups"]


def start_postgres(s, listen, port, method):
    """A database of this scenario's own, filled over the Unix socket, which is not on the path."""
    s.state["table"] = s.content.word()
    s.write(s.server, "pw", s.password + "\n")
    s.server.run(["sh", "-c", "mkdir /srv/db /run/pg; chown postgres /srv/db /run/pg /srv/pw"])
    s.server.run(AS_POSTGRES + [POSTGRES + "initdb", "-D", "/srv/db", "-U", s.user, "-N", "-E", "UTF8", "--locale=C",
                                "--auth=" + method, "--pwfile=/srv/pw"], timeout=60)
    with open(s.server.dir / "db/pg_hba.conf", "a") as file:
        file.write("host all all %s/%d %s\n" % (s.client_address, 128 if s.family == 6 else 32, method))
    rows = "\n".join("%d\t%s\t%s\t%.2f" % (n, s.content.words(2), s.content.words(6), s.rng.uniform(0, 1000))
                     for n in range(s.rng.randint(30, 300)))
    s.write(s.server, "fill.sql", "create table %s (id int primary key, name text, note text, price numeric);\n"
            "copy %s from stdin;\n%s\n\\.\n" % (s.state["table"], s.state["table"], rows))
    s.server.spawn(AS_POSTGRES + [POSTGRES + "postgres", "-D", "/srv/db", "-p", str(port), "-k", "/run/pg",
                                  "-c", "listen_addresses=" + listen, "-c", "shared_buffers=8MB",
                                  "-c", "fsync=off", "-c", "autovacuum=off", "-c", "max_connections=20"])
    local = ["-h", "/run/pg", "-p", str(port), "-U", s.user]
    env = {"PGPASSWORD": s.password}
    # It takes a moment to accept connections, so the first tries may fail.
    retry = 'for n in 1 2 3 4 5 6 7 8 9; do psql -q -d postgres -f /srv/fill.sql "$@" && exit; sleep 0.5; done; exit 1'
    s.server.run(["sh", "-c", retry, "sh"] + local, env=env)
    if s.client_name == "pgbench":
        s.server.run(["pgbench", "-i", "-q", "-s", "1"] + local + ["postgres"], env=env, timeout=60)


@server("postgresql", "postgresql-15")
def postgresql(s):
    start_postgres(s, s.server_address, s.port, s.rng.choice(("trust", "md5", "scram-sha-256")))


@server("postgresql", "pgbouncer")
def pgbouncer(s):
    """The pooler speaks to the client; the database behind it has only a Unix socket."""
    start_postgres(s, "", 5432, "trust")
    s.write(s.server, "pgbouncer.ini", """[databases]
postgres = host=/run/pg port=5432 user=%s
[pgbouncer]
listen_addr = %s
listen_port = %d
unix_socket_dir =
auth_type = any
ignore_startup_parameters = extra_float_digits,options
""" % (s.user, s.server_address, s.port))
    s.server.spawn(AS_POSTGRES + ["pgbouncer", "/srv/pgbouncer.ini"])


def statements(s, count):
    table, c, r = s.state["table"], s.content, s.rng
    makers = (
        lambda: "select * from %s limit %d" % (table, r.randint(1, 40)),
        lambda: "select count(*), avg(price) from %s where id > %d" % (table, r.randrange(200)),
        lambda: "select name, price from %s where note like '%%%s%%' order by price" % (table, c.word()),
        lambda: "update %s set price = price * 1.%d where id = %d" % (table, r.randrange(10), r.randrange(200)),
        lambda: "insert into %s values (%d, '%s', '%s', %d)" % (table, r.randrange(10**4, 10**9), c.words(2), c.words(5), r.randrange(900)),
        lambda: "delete from %s where id = %d" % (table, r.randrange(300)),
        lambda: "select * from %s" % c.word(),
        lambda: "begin; select max(id) from %s; commit" % table)
    return [r.choice(makers)() for _ in range(count)]


def pg_environment(s):
    return {"PGPASSWORD": s.password, "PGSSLMODE": s.rng.choice(("disable", "prefer", "allow")),
            "PGGSSENCMODE": "disable", "PGCONNECT_TIMEOUT": "15"}


@client("postgresql", "psql")
def psql(s, i):
    command = ["psql", "-X", "-q", "-h", s.server_address, "-p", s.port, "-U", s.user, "-d", "postgres"]
    if s.rng.random() < 0.1:
        command += ["-c", "\\d " + s.state["table"]]
    s.client.run(command, env=pg_environment(s), stdin=";\n".join(statements(s, s.rng.randint(1, 8))) + ";\n", timeout=30)


@client("postgresql", "pgbench")
def pgbench(s, i):
    s.client.run(["pgbench", "-n", "-h", s.server_address, "-p", s.port, "-U", s.user, "-t", s.rng.randint(2, 12),
                  "-M", s.rng.choice(("simple", "extended", "prepared")), "-c", s.rng.choice((1, 1, 2))] +
                 s.rng.choice(([], ["-S"])) + ["postgres"], env=pg_environment(s), timeout=40)


@client("postgresql", "psycopg2")
def psycopg2(s, i):
    s.peer("pgask.py", s.server_address, s.port, s.user, *statements(s, s.rng.randint(1, 8)), env=pg_environment(s))


@server("redis", "redis-server")
def redis(s):
    flags = ["--requirepass", s.password] if s.rng.random() < 0.3 else []
    s.state["password"] = s.password if flags else None
    s.server.spawn(["redis-server", "--port", s.port, "--bind", s.server_address, "--protected-mode", "no",
                    "--save", "", "--appendonly", "no", "--dir", "/tmp", "--daemonize", "no"] + flags)


def redis_commands(s, count):
    c, r = s.content, s.rng

    def key():
        return "%s:%d" % (c.word(), r.randrange(40))

    makers = (
        lambda: 'SET %s "%s"' % (key(), c.words(r.randint(1, 30))), lambda: "GET " + key(), lambda: "INCR n:" + c.word(),
        lambda: 'HSET h:%s %s "%s" %s %d' % (key(), c.word(), c.words(3), c.word(), r.randrange(1000)),
        lambda: "HGETALL h:" + key(), lambda: "LPUSH l:%s %s" % (c.word(), c.words(r.randint(1, 9))),
        lambda: "LRANGE l:%s 0 -1" % c.word(), lambda: "SADD s:%s %s" % (c.word(), c.words(3)),
        lambda: "EXPIRE %s %d" % (key(), r.randint(5, 900)), lambda: "SCAN 0 COUNT 20", lambda: "PING", lambda: "DBSIZE",
        lambda: "ZADD z:%s %d %s" % (c.word(), r.randrange(100), c.word()), lambda: "HGET h:%s %s" % (key(), c.word()))
    return [r.choice(makers)() for _ in range(count)]


def redis_login(s):
    return ["-a", s.state["password"], "--no-auth-warning"] if s.state["password"] else []


@client("redis", "redis-cli")
def redis_cli(s, i):
    command = ["redis-cli", "-h", s.server_address, "-p", s.port] + redis_login(s)
    if i == 1:
        # The long one: many small commands in a pipeline.
        lines = redis_commands(s, 25) * s.rng.randint(30, 80)
        s.client.run(command + ["--pipe"], stdin="\r\n".join(lines) + "\r\n", timeout=40, check=False)
        return
    command += s.rng.choice(([], [], ["-3"]))
    s.client.run(command, stdin="\n".join(redis_commands(s, s.rng.randint(1, 15))) + "\n", timeout=30)


@client("redis", "redis-benchmark")
def redis_benchmark(s, i):
    command = ["redis-benchmark", "-q", "-h", s.server_address, "-p", s.port, "-c", s.rng.choice((1, 1, 2)),
               "-n", s.rng.randint(300, 900) if i == 1 else s.rng.randint(5, 40),
               "-d", s.rng.choice((3, 20, 200)), "-t", s.rng.choice(("set,get", "incr", "lpush,lpop", "ping", "hset", "sadd"))]
    if i == 1:
        command += ["-P", s.rng.choice((2, 4, 8))]
    if s.state["password"]:
        command += ["-a", s.state["password"]]
    s.client.run(command, timeout=40)


@client("redis", "python-redis")
def python_redis(s, i):
    s.peer("redisask.py", s.server_address, s.port, s.state["password"] or "", s.rng.choice(("yes", "no")),
           *redis_commands(s, s.rng.randint(2, 20)))


@server("mqtt", "mosquitto")
def mosquitto(s):
    s.write(s.server, "mosquitto.conf", "listener %d %s\nallow_anonymous true\npersistence false\nuser root\n" % (s.port, s.server_address))
    s.server.spawn(["mosquitto", "-c", "/srv/mosquitto.conf"])


def topic(s):
    return "/".join(s.content.word() for _ in range(s.rng.randint(2, 4)))


def payload(s):
    roll = s.rng.random()
    if roll < 0.4:
        return "%.2f" % s.rng.uniform(-20, 120)
    if roll < 0.8:
        return s.content.records(60).strip()[:400]
    return s.content.words(s.rng.randint(1, 40))


def mqtt_flags(s):
    flags = ["-h", s.server_address, "-p", s.port, "-q", s.rng.randrange(3), "-V", s.rng.choice(("mqttv311", "mqttv311", "mqttv31", "mqttv5"))]
    if s.rng.random() < 0.5:
        flags += ["-i", "%s-%d" % (s.content.word(), s.rng.randrange(1000))]
    if s.rng.random() < 0.3:
        flags += ["-u", s.user, "-P", s.password]
    return flags


@client("mqtt", "mosquitto")
def mosquitto_tools(s, i):
    """One subscriber that ends after the messages that the publishers send it."""
    where, count = topic(s), s.rng.randint(1, 4)
    rounds = s.rng.randint(60, 300) if i == 1 else s.rng.randint(1, 12)
    pattern = s.rng.choice((where, where.rsplit("/", 1)[0] + "/#"))
    process = s.client.spawn(["mosquitto_sub", "-t", pattern, "-C", rounds if count == 1 else count, "-W", "12"] + mqtt_flags(s))
    s.client.run(["sleep", "%.2f" % (0.2 + 4 * s.round_trip)])
    if count == 1:
        lines = "\n".join("%d %s" % (n, s.content.word()) for n in range(rounds)) + "\n"
        s.client.run(["mosquitto_pub", "-l", "-t", where] + mqtt_flags(s), stdin=lines, timeout=25)
    else:
        for _ in range(count):
            s.client.run(["mosquitto_pub", "-t", where, "-m", payload(s)] + s.rng.choice(([], ["-r"])) + mqtt_flags(s), timeout=25)
    try:
        process.wait(timeout=15)
    finally:
        s.client.stop(process)


@client("mqtt", "paho")
def paho(s, i):
    messages = [word for _ in range(s.rng.randint(1, 15)) for word in (topic(s), payload(s))]
    s.peer("mqttpub.py", s.server_address, s.port, s.content.word(), s.rng.randrange(3), s.rng.choice(("3", "4", "5")), *messages)


@server("modbus", "pymodbus")
def pymodbus(s):
    s.server.spawn(["/usr/bin/python3", "/srv/peers/plc.py", s.server_address, s.port, s.rng.randrange(10**6)])


@server("modbus", "libmodbus")
def libmodbus(s):
    shutil.copy(s.run.relay.parent / "modbusd", s.server.dir / "modbusd")
    s.server.spawn(["/srv/modbusd", s.server_address, s.port, s.rng.randrange(10**6)])


@client("modbus", "mbpoll")
def mbpoll(s, i):
    where = s.server_host if s.family == 4 else s.server_address
    base = ["mbpoll", "-m", "tcp", "-p", s.port, "-a", s.rng.choice((1, 1, 2, 17)), "-r", s.rng.randint(1, 60)]
    roll = s.rng.random()
    if roll < 0.25:
        s.client.run(base + ["-1", "-t", "4", where] + [s.rng.randrange(65536) for _ in range(s.rng.randint(1, 8))], check=False)
    elif roll < 0.5 and i != 1:
        s.client.run(base + ["-1", "-t", s.rng.choice("0134"), "-c", s.rng.randint(1, 60), where], check=False)
    else:
        # It polls until it is told to stop.
        s.client.run(["timeout", "-s", "INT", "%.1f" % s.rng.uniform(1, 4)] + base +
                     ["-l", s.rng.choice((20, 100, 300)), "-t", s.rng.choice("0134"), "-c", s.rng.randint(1, 30), where], check=False)


@client("modbus", "pymodbus")
def pymodbus_client(s, i):
    s.peer("plcask.py", s.server_address, s.port, s.rng.randrange(10**6),
           s.rng.randint(150, 500) if i == 1 else s.rng.randint(1, 25), timeout=40)
