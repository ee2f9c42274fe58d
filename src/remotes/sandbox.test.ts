import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { mkdir, mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { makeContext } from '../base/context.ts'
import { findProgram, runProcess } from '../base/process.ts'
import { MiB } from '../base/units.ts'
import { failsWith } from '../testing/fails-with.ts'
import { testRemoteContract } from '../testing/remote-contract.ts'
import { makeTinyImage } from '../testing/tiny-image.ts'
import { openRemote } from './open-remote.ts'
import { fenceUplinks, findFenceTrouble } from './fenced-uplink.ts'
import { hostUplink } from './uplink.ts'
import { openSandbox, type SandboxOptions } from './sandbox.ts'

const skip =
  process.geteuid?.() !== 0
    ? 'needs root'
    : ['bwrap', 'qemu-storage-daemon'].every((name) => findProgram(name))
      ? false
      : 'needs bubblewrap and qemu-storage-daemon'
const directory = await mkdtemp(join(tmpdir(), 'ingot-sandbox-test-'))
after(() => rm(directory, { recursive: true, force: true }))

let count = 0
async function place(): Promise<{ path: string; tempDir: string }> {
  const own = join(directory, String(++count))
  await mkdir(join(own, 'temp'), { recursive: true })
  return { path: join(own, 'disk'), tempDir: join(own, 'temp') }
}

async function open(
  options: Pick<SandboxOptions, 'path' | 'tempDir' | 'access'> & Partial<SandboxOptions>,
) {
  const context = makeContext()
  return openRemote(await openSandbox({ network: false, ...options }, context), context)
}

const digestOf = async (path: string) =>
  createHash('sha256')
    .update(await readFile(path))
    .digest('hex')

if (!skip)
  for (const format of ['raw', 'qcow2'] as const)
    testRemoteContract(
      `the sandbox of a ${format} image`,
      async () => {
        const { path, tempDir } = await place()
        await makeTinyImage(path, { format })
        const stop = new AbortController()
        const context = makeContext({ signal: stop.signal })
        const options = { path, tempDir, access: 'change', network: false } as const
        return {
          remote: openRemote(await openSandbox(options, context), context),
          base: '/srv/contract',
          untouched: ['/tmp', '/srv', '/usr/sbin', '/etc'],
          interrupt: () => stop.abort(),
        }
      },
      { writable: true, runs: true },
    )

describe('the sandbox', { skip }, () => {
  for (const format of ['raw', 'qcow2'] as const)
    it(`checks a ${format} image without touching a byte, whatever a script writes`, async () => {
      const { path, tempDir } = await place()
      await makeTinyImage(path, { format })
      const before = await digestOf(path)
      {
        await using remote = await open({ path, tempDir, access: 'check' })
        await remote.runOk({
          argv: ['sh', '-c', 'echo changed > /etc/hostname; rm -r /var/lib/dpkg'],
        })
        assert.equal(await remote.readText('/etc/hostname'), 'changed\n')
      }
      assert.equal(await digestOf(path), before)
      assert.deepEqual(await readdir(tempDir), [])
    })

  for (const format of ['raw', 'qcow2'] as const)
    it(`changes a ${format} image for good, and leaves none of its own files in it`, async () => {
      const { path, tempDir } = await place()
      await makeTinyImage(path, { format })
      {
        await using remote = await open({ path, tempDir, access: 'change', network: hostUplink })
        await remote.writeFile('/etc/motd', 'welcome\n')
        await remote.finish()
      }
      await using remote = await open({ path, tempDir, access: 'check' })
      assert.equal(await remote.readText('/etc/motd'), 'welcome\n')
      assert.deepEqual(await remote.list('/run'), ['lock'])
      const { stdout } = await runProcess(['qemu-img', 'check', '-f', format, path])
      if (format === 'qcow2') assert.match(stdout.toString(), /No errors/)
    })

  it('sees no device, no process and no network of this host', async () => {
    const { path, tempDir } = await place()
    await makeTinyImage(path)
    await using remote = await open({ path, tempDir, access: 'check' })
    const devices = (await remote.runOk({ argv: ['ls', '/dev'] })).split('\n')
    for (const device of ['kvm', 'fuse', 'loop0', 'vda', 'sda', 'mem'])
      assert.ok(!devices.includes(device), device)
    assert.ok(Number(await remote.runOk({ argv: ['sh', '-c', 'ls -d /proc/[0-9]* | wc -l'] })) < 10)
    assert.equal(
      (await remote.runOk({ argv: ['sh', '-c', 'wc -l < /proc/net/route'] })).trim(),
      '1',
    )
    const { code } = await remote.run({ argv: ['mount', '-t', 'tmpfs', 'none', '/mnt'] })
    assert.notEqual(code, 0)
  })

  it('gives its commands the network that it was handed', async (t) => {
    const trouble = await findFenceTrouble([], makeContext())
    if (trouble !== undefined) return t.skip(trouble)
    const { path, tempDir } = await place()
    await makeTinyImage(path)
    const network = fenceUplinks(async () => [])
    await using remote = await open({ path, tempDir, access: 'check', network })
    const resolver = await remote.runOk({ argv: ['cat', '/etc/resolv.conf'] })
    assert.match(resolver, /^nameserver 198\.18\.0\.3$/m)
    // Its card and no other, and nothing in the sandbox may change its rules (CAP_NET_ADMIN is bit 12).
    const devices = await remote.runOk({ argv: ['cat', '/proc/net/dev'] })
    assert.deepEqual(devices.match(/\w+(?=:)/g)?.toSorted(), ['lo', 'outside'])
    const status = await remote.runOk({ argv: ['cat', '/proc/self/status'] })
    const powers = Number.parseInt(/CapEff:\s*(\w+)/.exec(status)?.[1] ?? 'f'.repeat(12), 16)
    assert.equal(Math.trunc(powers / 2 ** 12) % 2, 0)
  })

  it('lends its name servers to commands, and nobody writes to those of this host', async () => {
    const { path, tempDir } = await place()
    await makeTinyImage(path, { files: { '/etc/resolv.conf': 'nameserver 192.0.2.1\n' } })
    const ours = await readFile('/etc/resolv.conf', 'utf8')
    await using remote = await open({ path, tempDir, access: 'change', network: hostUplink })
    assert.equal(await remote.runOk({ argv: ['cat', '/etc/resolv.conf'] }), ours)
    assert.equal(await remote.readText('/etc/resolv.conf'), 'nameserver 192.0.2.1\n')
    await remote.run({ argv: ['sh', '-c', 'echo taken over > /etc/resolv.conf'] })
    await remote.writeFile('/etc/resolv.conf', 'nameserver 192.0.2.2\n')
    assert.equal(await readFile('/etc/resolv.conf', 'utf8'), ours)
    assert.equal(await remote.readText('/etc/resolv.conf'), 'nameserver 192.0.2.2\n')
    await remote.finish()
  })

  it('opens what fstab mounts on a partition of its own', async () => {
    const { path, tempDir } = await place()
    await makeTinyImage(path, { separate: '/var', size: 96 * MiB })
    await using remote = await open({ path, tempDir, access: 'change' })
    await remote.writeFile('/var/there', 'x')
    assert.equal(await remote.runOk({ argv: ['cat', '/var/there'] }), 'x')
    assert.notEqual(
      await remote.runOk({ argv: ['stat', '-c', '%d', '/var'] }),
      await remote.runOk({ argv: ['stat', '-c', '%d', '/'] }),
    )
    await remote.finish()
  })

  it('refuses to judge a file system by what stands beside its journal, but replays it to change', async () => {
    const { path, tempDir } = await place()
    const image = await makeTinyImage(path)
    const { offset = 0 } = image.fileSystems[0] ?? {}
    await setNeedsRecovery(path, offset)
    await assert.rejects(open({ path, tempDir, access: 'check' }), failsWith('FILE_SYSTEM_DIRTY'))
    {
      await using remote = await open({ path, tempDir, access: 'change' })
      await remote.finish()
    }
    await using remote = await open({ path, tempDir, access: 'check' })
    assert.equal(await remote.readText('/etc/hostname'), 'tiny\n')
  })

  it('asks which root is meant when there are two, and takes the answer', async () => {
    const { path, tempDir } = await place()
    await makeTinyImage(path, { twoRoots: true, size: 96 * MiB })
    await assert.rejects(
      open({ path, tempDir, access: 'check' }),
      failsWith('SEVERAL_OPERATING_SYSTEMS'),
    )
    await using remote = await open({ path, tempDir, access: 'check', rootFileSystem: '/dev/sda2' })
    assert.equal((await remote.facts()).version, '11')
    assert.equal(remote.rootFileSystem, '/dev/sda2')
  })

  it('says so when the guest has no space left', async () => {
    const { path, tempDir } = await place()
    await makeTinyImage(path)
    await using remote = await open({ path, tempDir, access: 'change' })
    await assert.rejects(
      remote.writeFile('/root/large', Buffer.alloc(60 * MiB)),
      failsWith('NO_SPACE'),
    )
    assert.equal(await remote.exists('/root/large'), false)
  })

  it('leaves no mount, loop device or process when its owner is killed', async () => {
    const { path, tempDir } = await place()
    await makeTinyImage(path, { format: 'qcow2' })
    const script = `
      import { makeContext } from ${JSON.stringify(new URL('../base/context.ts', import.meta.url).href)}
      import { openSandbox } from ${JSON.stringify(new URL('./sandbox.ts', import.meta.url).href)}
      const [path, tempDir] = process.argv.slice(1)
      const driver = await openSandbox({ path, tempDir, access: 'change', network: false }, makeContext())
      driver.run({ argv: ['sh', '-c', 'sleep 777 & exec sleep 777'], onOutput: () => {} })
      await driver.stat('/etc/passwd')
      process.kill(process.pid, 'SIGKILL')`
    const { code } = await runProcess([
      process.execPath,
      '--input-type=module',
      '-e',
      script,
      path,
      tempDir,
    ])
    assert.equal(code, 137)
    const gone = async () => {
      const { stdout: loops } = await runProcess([
        'losetup',
        '--list',
        '--noheadings',
        '--output',
        'BACK-FILE',
      ])
      const { stdout: processes } = await runProcess(['ps', '-eo', 'args'])
      return !loops.toString().includes(directory) && !processes.toString().includes(path)
    }
    // The kernel takes the namespaces down by itself; this only waits for it to be done.
    for (let tries = 0; tries < 200 && !(await gone()); tries++) await runProcess(['sleep', '0.05'])
    assert.ok(await gone())
    await using remote = await open({ path, tempDir, access: 'change' })
    assert.equal(await remote.readText('/etc/hostname'), 'tiny\n')
    assert.equal(
      (await readdir(tempDir)).length,
      1,
      'only the working directory of the run that lives',
    )
  })
})

/** Marks an ext file system as one whose journal must be replayed, through e2fsprogs' own debugfs. */
async function setNeedsRecovery(path: string, offset: number): Promise<void> {
  const { code, stderr } = await runProcess([
    'debugfs',
    '-w',
    '-R',
    'feature needs_recovery',
    `${path}?offset=${offset}`,
  ])
  assert.equal(code, 0, stderr.toString())
}
