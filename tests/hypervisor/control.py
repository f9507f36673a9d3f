#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
# control.py SOCKET COMMAND...: sends commands to a running hypervisor, one after the other, and prints the answers.
# Status 1 when one of them is an error.
import socket
import sys

connection = socket.socket(socket.AF_UNIX)
connection.connect(sys.argv[1])
answers = connection.makefile("r")
failed = False
for command in sys.argv[2:]:
    connection.sendall(command.encode() + b"\n")
    for line in answers:
        print(line, end="")
        failed |= line.startswith("error")
        if line == "ok\n" or line.startswith("error"):
            break
    else:
        sys.exit("the hypervisor has gone")
sys.exit(failed)
