/* BCC includes this for network programs; nothing of it is needed here. */
