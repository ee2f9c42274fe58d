import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { describe, it } from 'node:test'
import { makeContext } from '../base/context.ts'
import { silentLog } from '../base/log.ts'
import { runTool, startModule } from '../base/process.ts'
import { ADDRESSES } from '../testing/fenced-host.ts'
import { failsWith } from '../testing/fails-with.ts'
import { tempDir } from '../testing/temp-dir.ts'
import { waitUntilGone } from '../testing/processes.ts'
import { fenceUplinks, findFenceTrouble } from './fenced-uplink.ts'

const inDir = await tempDir()
const trouble = await findFenceTrouble([], makeContext())
const isRoot = process.geteuid?.() === 0
const host = new URL('../testing/fenced-host.ts', import.meta.url)
const launcher = ['unshare', ...(isRoot ? [] : ['--map-root-user']), '--net', '--']

/** The first thing that such a host says; then it is killed. */
async function askHost<Answer>(what: string): Promise<Answer> {
  const child = startModule(host, { launcher, args: [what] })
  let said = ''
  child.stderr?.on('data', (chunk: Buffer) => (said += chunk.toString()))
  try {
    return await new Promise<Answer>((resolve, reject) => {
      child.once('message', resolve)
      child.once('exit', () => reject(new Error(`it said nothing: ${said}`)))
    })
  } finally {
    child.kill('SIGKILL')
  }
}

describe('a fenced uplink', { skip: trouble !== undefined && trouble }, () => {
  it('leads to the public internet and the places that are named, to nothing else of the host', async () => {
    const named = ['public', 'mirror', 'a host that is named', 'a proxy on loopback'] as const
    const fenced = await askHost<string[]>('fence')
    assert.deepEqual(
      fenced,
      named.map((name) => ADDRESSES[name]),
    )
    const { 'loopback, as slirp shows it': _, ...all } = ADDRESSES
    assert.deepEqual(await askHost<string[]>('host'), Object.values(all))
  })

  it('leaves no process behind when its owner is killed', async () => {
    const pids = await askHost<number[]>('stay')
    assert.equal(pids.length, 2)
    for (const pid of pids) await waitUntilGone(pid)
  })

  it('runs commands as whoever asked for it, in their directory, and asks one name server', async () => {
    await using uplink = await fenceUplinks(async () => [])([], makeContext())
    const script = 'pwd; id -u; grep nameserver /etc/resolv.conf'
    const said = await runTool([...uplink.launcher, 'sh', '-c', script])
    const { geteuid } = process
    assert.equal(said.toString(), `${process.cwd()}\n${geteuid?.()}\nnameserver 198.18.0.3\n`)
  })

  it('is never replaced by the host’s network where it could be made before', async () => {
    const flag = inDir('no more')
    const open = fenceUplinks(async () => {
      await writeFile(flag, '')
      return []
    })
    const untilFlag = ['sh', '-c', '[ ! -e "$0" ] || exit 1; exec "$@"', flag]
    const words = [...untilFlag, ...(isRoot ? [] : ['unshare', '--map-root-user', '--'])]
    await assert.rejects(open(words, makeContext()), failsWith('GUEST_NETWORK_FAILED'))
  })

  it('leads nowhere once it is closed', async () => {
    const uplink = await fenceUplinks(async () => [])([], makeContext())
    await uplink[Symbol.asyncDispose]()
    await assert.rejects(runTool([...uplink.launcher, 'true']), failsWith('COMMAND_FAILED'))
  })
})

it('gives the network of this host where no fence can be made, and says so once', async () => {
  const warnings: [string, unknown][] = []
  const log = {
    ...silentLog,
    warn: (...event: [string, unknown?]) => void warnings.push([event[0], event[1]]),
  }
  const open = fenceUplinks(async () => [])
  const noNamespace = ['sh', '-c', 'echo "not on this host" >&2; exit 1', 'sh']
  for (const _ of [1, 2]) {
    await using uplink = await open(noNamespace, makeContext({ log }))
    assert.deepEqual(uplink.launcher, noNamespace)
  }
  assert.equal(warnings.length, 1)
  assert.equal(warnings[0]?.[0], 'guest-network.not-fenced')
})
