#include "ops/cli.h"
#include "base/poison.h"

int main(int argc, char **argv)
{
    return cli_main(argc, argv);
}
