"""Before a first night: what this machine lacks, a project of one's own, what of a landing zone would be refused."""
