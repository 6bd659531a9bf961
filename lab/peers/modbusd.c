// SPDX-License-Identifier: Apache-2.0
/* A Modbus/TCP controller on libmodbus: modbusd ADDRESS PORT SEED */
#include <modbus.h>
#include <stdlib.h>
#include <sys/select.h>
#include <unistd.h>

enum { POINTS = 200, CLIENTS = 8 };

static void answer(modbus_t *bus, int fd, modbus_mapping_t *map, fd_set *open_fds)
{
	uint8_t query[MODBUS_TCP_MAX_ADU_LENGTH];
	int length;

	modbus_set_socket(bus, fd);
	length = modbus_receive(bus, query);
	if (length > 0) {
		modbus_reply(bus, query, length, map);
	} else if (length < 0) {
		FD_CLR(fd, open_fds);
		close(fd);
	}
}

int main(int argc, char **argv)
{
	modbus_t *bus;
	modbus_mapping_t *map;
	fd_set open_fds;
	int listener;

	if (argc != 4)
		return 2;
	bus = modbus_new_tcp_pi(argv[1], argv[2]);
	map = modbus_mapping_new(POINTS, POINTS, POINTS, POINTS);
	if (!bus || !map)
		return 1;
	srand((unsigned)atoi(argv[3]));
	for (int i = 0; i < POINTS; i++) {
		map->tab_bits[i] = rand() & 1;
		map->tab_input_bits[i] = rand() & 1;
		map->tab_registers[i] = (uint16_t)(rand() % 4000);
		map->tab_input_registers[i] = (uint16_t)(rand() % 4000);
	}
	listener = modbus_tcp_pi_listen(bus, CLIENTS);
	if (listener < 0)
		return 1;
	FD_ZERO(&open_fds);
	FD_SET(listener, &open_fds);
	for (;;) {
		fd_set ready = open_fds;

		if (select(FD_SETSIZE, &ready, NULL, NULL, NULL) < 0)
			return 1;
		for (int fd = 0; fd < FD_SETSIZE; fd++) {
			if (!FD_ISSET(fd, &ready))
				continue;
			if (fd != listener) {
				answer(bus, fd, map, &open_fds);
			} else {
				int s = listener, got = modbus_tcp_pi_accept(bus, &s);

				if (got >= 0)
					FD_SET(got, &open_fds);
			}
		}
	}
}
