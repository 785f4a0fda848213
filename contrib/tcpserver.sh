#!/bin/sh
# A run script for daemontools or runit: SMTP under tcpserver, 200 sessions at a
# time. tcprules(1) makes /etc/paperpath/smtp.cdb; a line
#   192.0.2.:allow,RELAYCLIENT=""
# lets these hosts send anywhere. Under s6-tcpserver, use --env s6.
# In a home made with mailctl init --create-user leave -u and -g out: mailsubmit becomes its own
# user, with its groups, before it reads anything.
PAPERPATH_HOME=/var/lib/paperpath
export PAPERPATH_HOME
exec tcpserver -v -H -R -l 0 -c 200 -x /etc/paperpath/smtp.cdb -u "$(id -u paperpath)" -g "$(id -g paperpath)" \
	0 25 /usr/local/bin/mailsubmit smtp --role mx --env tcpserver 2>&1
