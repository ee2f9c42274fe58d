/** A guest's tree with one of everything that a file can be, for what carries whole trees. */
import { link, mkdir, open, symlink, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { runTool } from '../base/process.ts'
import { KiB, MiB } from '../base/units.ts'

/** When every file of `layRichGuest` was changed: 2025-01-02. */
export const RICH_TIME = 1_735_776_000
export const LONG_NAME = 'n'.repeat(250)
export const LONG_DIRECTORY = `/srv/long/${'d'.repeat(120)}`
export const LONG_TARGET = `../${'t/'.repeat(90)}end`
/** Permitted: CAP_NET_RAW. Source: capabilities(7), revision 2 of the attribute. */
export const CAPABILITY = Buffer.from('0100000200200000000000000000000000000000', 'hex')
/** Version 2; owner rw-, user 1000 r--, group r--, mask r--, others none. Source: acl(5). */
export const ACCESS_LIST = Buffer.from(
  ['02000000', '01000600ffffffff', '02000400e8030000', '04000400ffffffff', '10000400ffffffff']
    .concat('20000000ffffffff')
    .join(''),
  'hex',
)
/** A file of 40 MiB with 64 KiB of data at its start and at 20 MiB. */
export const SPARSE = { size: 40 * MiB, data: [0, 20 * MiB], length: 64 * KiB } as const

/**
 * Lays it below `/srv` of a tree (`lay` of `makeTinyImage`). Needs root: only root makes devices and
 * sets `security.` attributes.
 */
export async function layRichGuest(tree: string): Promise<void> {
  const at = (path: string) => join(tree, 'srv', path)
  await mkdir(join(tree, LONG_DIRECTORY), { recursive: true })
  await writeFile(join(tree, LONG_DIRECTORY, LONG_NAME), 'long\n')
  await symlink(LONG_TARGET, at('long/link'))
  await symlink('/etc/passwd', at('absolute'))
  await mkdir(at('links'))
  await writeFile(at('links/b-first'), 'one file, three names\n')
  await link(at('links/b-first'), at('links/a-second'))
  await link(at('links/b-first'), at('links/c-third'))
  await mkdir(at('names'))
  for (const name of ['new\nline', 'naïve ☃', ' blank ', '-dash', 'back\\slash', '*'])
    await writeFile(at(`names/${name}`), name)
  await mkdir(at('owned'))
  await writeFile(at('owned/set-uid'), 'x')
  await runTool(['chown', '1000:2000', at('owned/set-uid')])
  await runTool(['chmod', '4751', at('owned/set-uid')])
  await writeFile(at('owned/large-ids'), 'x')
  await runTool(['chown', '3000000000:2999999999', at('owned/large-ids')])
  await mkdir(at('special'))
  await runTool(['mknod', '-m', '600', at('special/console'), 'c', '5', '1'])
  await runTool(['mknod', '-m', '660', at('special/disk'), 'b', '259', '70000'])
  await runTool(['mkfifo', at('special/pipe')])
  await makeSocket(at('special/socket'))
  await mkdir(at('attributes'))
  await writeFile(at('attributes/ping'), 'x')
  await setAttribute(at('attributes/ping'), 'security.capability', CAPABILITY)
  await writeFile(at('attributes/several'), 'x')
  for (const name of ['user.colour', 'user.empty', 'trusted.deep'])
    await setAttribute(
      at('attributes/several'),
      name,
      Buffer.from(name === 'user.empty' ? '' : name),
    )
  await setAttribute(at('attributes/several'), 'user.large', Buffer.alloc(2000, 0x5a))
  await writeFile(at('attributes/shared'), 'x')
  await setAttribute(at('attributes/shared'), 'system.posix_acl_access', ACCESS_LIST)
  await mkdir(at('sparse'))
  await writeSparse(at('sparse/holes'))
  await writeFile(at('sparse/zeros'), Buffer.alloc(2 * MiB))
  await writeFile(at('sparse/empty'), '')
  for (const path of ['tmp/scratch', 'run/pid', 'dev/null-like', 'boot/efi/loader'])
    await mkdir(join(tree, path), { recursive: true })
  await runTool(['find', tree, '-exec', 'touch', '-h', '-d', `@${RICH_TIME}`, '{}', '+'])
  await runTool(['touch', '-d', '@-1', at('owned/set-uid')])
}

async function writeSparse(path: string): Promise<void> {
  await using file = await open(path, 'w')
  for (const [index, offset] of SPARSE.data.entries())
    await file.write(Buffer.alloc(SPARSE.length, index + 1), 0, SPARSE.length, offset)
  await file.truncate(SPARSE.size)
}

async function setAttribute(path: string, name: string, value: Buffer): Promise<void> {
  await runTool(['setfattr', '-n', name, '-v', `0x${value.toString('hex')}`, path])
}

/** A socket outlives its server only when that is killed; so it is renamed before it closes. */
async function makeSocket(path: string): Promise<void> {
  const server = createServer()
  const short = join('/tmp', `ingot-socket-${process.pid}`)
  await new Promise<void>((resolve) => server.listen(short, resolve))
  await runTool(['mv', short, path])
  await new Promise((resolve) => server.close(resolve))
}
