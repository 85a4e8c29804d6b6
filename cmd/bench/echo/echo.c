/* The least that a DNS server can do: it flips the QR bit of what it gets and sends it back. recvmmsg and sendmmsg, 32
   packets a call, one thread. What a real server costs beside it is what its own work costs. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum { BATCH = 32, ROOM = 1536 };

static struct mmsghdr messages[BATCH];
static struct iovec vectors[BATCH];
static struct sockaddr_in peers[BATCH];
static unsigned char packets[BATCH][ROOM];

int main(int argc, char **argv)
{
	struct sockaddr_in self = { .sin_family = AF_INET };
	int room = 4 << 20, fd = socket(AF_INET, SOCK_DGRAM, 0);
	if (argc != 2 || fd < 0)
		return 2;
	self.sin_port = htons((unsigned short)atoi(argv[1]));
	self.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
	if (bind(fd, (struct sockaddr *)&self, sizeof self) < 0) {
		perror("bind");
		return 1;
	}
	for (int i = 0; i < BATCH; i++) {
		vectors[i].iov_base = packets[i];
		messages[i].msg_hdr.msg_iov = &vectors[i];
		messages[i].msg_hdr.msg_iovlen = 1;
		messages[i].msg_hdr.msg_name = &peers[i];
	}
	for (;;) {
		for (int i = 0; i < BATCH; i++) {
			vectors[i].iov_len = ROOM;
			messages[i].msg_hdr.msg_namelen = sizeof peers[i];
		}
		int got = recvmmsg(fd, messages, BATCH, MSG_WAITFORONE, NULL);
		if (got < 0)
			continue;
		for (int i = 0; i < got; i++) {
			vectors[i].iov_len = messages[i].msg_len;
			packets[i][2] |= 0x80;
		}
		for (int sent = 0; sent < got;) {
			int n = sendmmsg(fd, messages + sent, got - sent, 0);
			sent += n > 0 ? n : 1;
		}
	}
}
