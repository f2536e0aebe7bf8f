#include "ingest/cli.h"
#include "ingest/daemon.h"

int main(int argc, char** argv) {
    return ingest::run_command_line(argc, argv, ingest::serve);
}
