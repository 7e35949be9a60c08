/* BCC includes this for the fields of instructions; none is needed here. */
