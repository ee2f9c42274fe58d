import { basename } from 'node:path'
import { Failure } from '../../base/failure.ts'
import { formatSize } from '../../base/units.ts'
import type { ImageFormat } from '../../formats/open-image.ts'
import type { NbdAddress } from '../../nbd/server.ts'
import { imageFormatOption, openServedImage } from '../_served-image.ts'
import { parseListen } from '../_listen.ts'
import { untilInterrupted } from '../_until-interrupted.ts'
import type { CommandModule } from '../cli.ts'

interface NbdFlags {
  format?: ImageFormat
  socket?: string
  listen?: string
  remote?: boolean
}

const HELP = `
Whatever the format of the image, clients see the raw disk, read only:
  ingot nbd disk.vmdk --socket /tmp/disk.sock &
  qemu-img convert -O qcow2 'nbd+unix:///?socket=/tmp/disk.sock' disk.qcow2
  nbdcopy 'nbd+unix:///?socket=/tmp/disk.sock' disk.raw
  qemu-system-x86_64 -snapshot -drive 'file=nbd+unix:///?socket=/tmp/disk.sock,format=raw'
Serves until Ctrl-C, and removes the socket then. Only your own user can open it.`

/** `ingot nbd IMAGE`: offers the disk inside an image to NBD clients. */
export const define: CommandModule['define'] = (command, _argv, openCli) => {
  command
    .usage('IMAGE (--socket PATH | --listen ADDRESS:PORT) [options]')
    .argument('<image>', 'the image file; it is not changed')
    .option('--socket <path>', 'the socket file to listen on')
    .option('--listen <address:port>', 'or a TCP port of this host; port 0 takes any free one')
    .option('--remote', 'let --listen name an address that other hosts reach')
    .addOption(imageFormatOption('--format'))
    .addHelpText('after', HELP)
    .action(async (image: string, flags: NbdFlags) => {
      const cli = openCli(command)
      const address = addressOf(flags)
      const { openNbdServer } = await import('../../nbd/server.ts')
      await using served = await openServedImage(image, flags.format, cli)
      const { disk, map } = served
      const exported = { name: '', description: basename(image), disk, map }
      await using server = await openNbdServer(exported, { address, log: cli.context.log })
      const data = map.dataUnits * map.unit
      if (cli.json) cli.print(JSON.stringify({ uri: server.uri, size: disk.size, data }))
      else
        cli.print(
          `${server.uri}\n${formatSize(disk.size)}, ${formatSize(data)} of it data; Ctrl-C ends it`,
        )
      await untilInterrupted(cli.context.signal)
    })
}

/** Fails with USAGE unless exactly one is named. */
function addressOf({ socket, listen, remote = false }: NbdFlags): NbdAddress {
  if (socket !== undefined && listen === undefined) return { socket }
  if (listen !== undefined && socket === undefined) return parseListen(listen, remote)
  throw new Failure('USAGE', 'where to listen: wanted --socket PATH or --listen ADDRESS:PORT')
}
