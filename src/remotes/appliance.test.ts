import assert from 'node:assert/strict'
import { execPath } from 'node:process'
import { createHash } from 'node:crypto'
import { mkdir, mkdtemp, open, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { makeContext } from '../base/context.ts'
import { isFailure } from '../base/failure.ts'
import { defaultCacheDir } from '../base/paths.ts'
import { runTool, startProcess } from '../base/process.ts'
import { MiB } from '../base/units.ts'
import { failsWith } from '../testing/fails-with.ts'
import { makeLvmImage } from '../testing/lvm-image.ts'
import { waitUntilGone } from '../testing/processes.ts'
import { testRemoteContract } from '../testing/remote-contract.ts'
import { makeTinyImage, type TinyImageOptions } from '../testing/tiny-image.ts'
import { openWebServer, type WebServer } from '../testing/web-server.ts'
import { type ApplianceOptions, checkAppliance, openAppliance } from './appliance.ts'
import { fenceUplinks, findFenceTrouble } from './fenced-uplink.ts'
import { openReadImage } from './read-image.ts'
import { openRemote } from './open-remote.ts'

const { available, missing = '' } = await checkAppliance()
const skip = available ? false : missing

const directory = await mkdtemp(join(tmpdir(), 'ingot-appliance-test-'))
after(() => rm(directory, { recursive: true, force: true }))
const cacheDir = defaultCacheDir(process.env)

/** A place for one image, with a directory for temporary files that must be empty in the end. */
async function place(): Promise<{ path: string; tempDir: string; cacheDir: string }> {
  const own = await mkdtemp(join(directory, 'case-'))
  const tempDir = join(own, 'temp')
  await mkdir(tempDir)
  return { path: join(own, 'disk'), tempDir, cacheDir }
}

async function makeImage(options: TinyImageOptions = {}) {
  const own = await place()
  await makeTinyImage(own.path, options)
  return own
}

const digestOf = async (path: string) =>
  createHash('sha256')
    .update(await readFile(path))
    .digest('hex')

/** The QEMU of the appliance that has its files in `tempDir`; waits for it to start. */
async function findQemu(tempDir: string): Promise<{ pid: number; sockets: string }> {
  for (;;) {
    for (const pid of await readdir('/proc')) {
      const line = await readFile(`/proc/${pid}/cmdline`, 'latin1').catch(() => '')
      const sockets = /path=([^,]*)\/guestfsd\.sock/.exec(line)?.[1]
      if (sockets !== undefined && line.includes(tempDir)) return { pid: Number(pid), sockets }
    }
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

const isThere = async (path: string) => (await readdir(path).catch(() => undefined)) !== undefined

if (!skip) {
  const own = await makeImage({ format: 'qcow2' })
  testRemoteContract(
    'the appliance',
    async () => {
      const context = makeContext()
      return {
        remote: openRemote(await openAppliance({ ...own, access: 'change' }, context), context),
        base: '/srv/contract',
        untouched: ['/tmp', '/srv', '/etc'],
        finishEnds: true,
      }
    },
    { writable: true, runs: true },
  )

  describe('what an appliance has finished', () => {
    it('is a sound image without a trace of the appliance', async () => {
      await runTool(['qemu-img', 'check', '-q', '-f', 'qcow2', own.path])
      const context = makeContext()
      await using remote = openRemote(await openReadImage(own, context), context)
      assert.equal((await remote.facts()).prettyName, 'Debian GNU/Linux 12 (bookworm)')
      assert.deepEqual(await remote.list('/usr/sbin'), [])
      assert.deepEqual(await remote.list('/run'), [])
      assert.deepEqual(await remote.list('/srv'), [])
      assert.deepEqual(await readdir(own.tempDir), [])
    })
  })
}

describe('an appliance that only checks', { skip, timeout: 300_000 }, () => {
  it('leaves the image as it was, whatever a script writes, also when QEMU is killed', async () => {
    const own = await makeImage()
    // As if the guest had crashed: only a kernel can read this file system now.
    await runTool(['debugfs', '-w', '-R', 'feature needs_recovery', `${own.path}?offset=${MiB}`])
    const before = await digestOf(own.path)
    const context = makeContext()
    {
      const driver = await openAppliance({ ...own, access: 'check' }, context)
      await using remote = openRemote(driver, context)
      const script = 'echo changed > /etc/hostname; rm -r /var/lib/dpkg; sync; cat /etc/hostname'
      assert.equal(await remote.runOk({ argv: ['sh', '-c', script] }), 'changed\n')
      assert.equal(await remote.readText('/etc/hostname'), 'changed\n')

      assert.equal((await remote.runOk({ argv: ['ls', '/usr/sbin'] })).trim(), 'policy-rc.d')
      assert.equal(await remote.runOk({ argv: ['cat', '/etc/resolv.conf'] }).catch(() => ''), '')

      const large = new Uint8Array(60 * MiB)
      await assert.rejects(remote.writeFile('/var/large', large), failsWith('NO_SPACE'))
      assert.deepEqual(await remote.list('/var'), ['lib', 'log', 'tmp'])

      assert.equal((await remote.run({ argv: ['sh', '-c', 'kill -9 -1'] })).code, 137)
      for (const name of ['UID', 'RANDOM', 'IFS', 'LD_PRELOAD', 'root', 'script']) {
        const environment = await remote.runOk({ argv: ['env'], env: { [name]: 'own' } })
        assert.ok(environment.split('\n').includes(`${name}=own`), name)
      }

      const { pid } = await findQemu(own.tempDir)
      const begun = Promise.withResolvers<void>()
      const running = remote.run({
        argv: ['sh', '-c', 'echo begun; sleep 600'],
        onOutput: () => begun.resolve(),
      })
      await begun.promise
      process.kill(pid, 'SIGKILL')
      await assert.rejects(running, (error) => {
        assert.ok(isFailure(error, 'REMOTE_LOST'), String(error))
        assert.ok(Array.isArray(error.details['messages']))
        return true
      })
      await assert.rejects(remote.stat('/etc'), failsWith('REMOTE_LOST'))
      await assert.rejects(remote.run({ argv: ['true'] }), failsWith('REMOTE_LOST'))
    }
    assert.equal(await digestOf(own.path), before)
    assert.deepEqual(await readdir(own.tempDir), [])
  })
})

describe('an appliance on a guest in LVM', { skip, timeout: 300_000 }, () => {
  it('mounts what fstab names, gives it the network if told to, and ends when interrupted', async () => {
    const fstab = '/dev/mapper/vg-root / ext4 defaults 0 1\nLABEL=boot /boot ext4 defaults 0 2\n'
    const root = await makeImage({ layout: 'none', size: 16 * MiB, files: { '/etc/fstab': fstab } })
    const boot = await makeImage({
      layout: 'none',
      size: 8 * MiB,
      mkfs: ['-L', 'boot'],
      files: { '/etc/os-release': undefined, '/kernel': 'a kernel' },
    })
    const own = await place()
    await makeLvmImage(own.path, { root: root.path, boot: boot.path })

    const stop = new AbortController()
    const context = makeContext({ signal: stop.signal })
    await using secret = await openWebServer({ '/': 'not for guests' })
    await using mirror = await openWebServer({ '/': 'packages' })
    const isFenced = (await findFenceTrouble([], context)) === undefined
    const network = fenceUplinks(async () => [mirror.url])
    const options: ApplianceOptions = { ...own, access: 'change', network }
    await using remote = openRemote(await openAppliance(options, context), context)
    assert.equal(remote.rootFileSystem, '/dev/vg/root')
    assert.equal(await remote.readText('/boot/kernel'), 'a kernel')
    assert.match(await remote.runOk({ argv: ['cat', '/etc/resolv.conf'] }), /^nameserver /m)
    const reaches = async ({ url }: WebServer) => {
      const here = url.replace('127.0.0.1', '169.254.2.2') // as it is called in the appliance
      return (await remote.run({ argv: ['busybox', 'wget', '-q', '-O', '-', here] })).stdout
    }
    assert.equal(await reaches(mirror), 'packages')
    assert.equal(await reaches(secret), isFenced ? '' : 'not for guests')

    const { pid, sockets } = await findQemu(own.tempDir)
    const begun = Promise.withResolvers<void>()
    const running = remote.run({
      argv: ['sh', '-c', 'echo begun; sleep 600'],
      onOutput: () => begun.resolve(),
    })
    await begun.promise
    stop.abort()
    await assert.rejects(running, failsWith('INTERRUPTED'))
    await assert.rejects(remote.run({ argv: ['true'] }), failsWith('INTERRUPTED'))
    await remote[Symbol.asyncDispose]()
    await waitUntilGone(pid)
    assert.equal(await isThere(sockets), false)
    assert.deepEqual(await readdir(own.tempDir), [])
  })
})

describe('an appliance that is starting', { skip, timeout: 300_000 }, () => {
  it('is gone without a trace when it is interrupted', async () => {
    const own = await makeImage()
    const stop = new AbortController()
    const opening = openAppliance(
      { ...own, access: 'change' },
      makeContext({ signal: stop.signal }),
    )
    const { pid, sockets } = await findQemu(own.tempDir)
    stop.abort()
    await assert.rejects(opening, failsWith('INTERRUPTED'))
    await waitUntilGone(pid)
    assert.equal(await isThere(sockets), false)
    assert.deepEqual(await readdir(own.tempDir), [])
  })

  it('is gone without a trace when its owner is killed', async () => {
    const own = await makeImage()
    const file = new URL('../testing/appliance-owner.ts', import.meta.url)
    const owner = startProcess([execPath, file.pathname, own.path, own.tempDir, cacheDir], {
      stdio: 'ignore',
    })
    const { pid, sockets } = await findQemu(own.tempDir)
    process.kill(owner.pid ?? 0, 'SIGKILL')
    await waitUntilGone(pid)
    const gone = async () => !(await isThere(sockets)) && (await readdir(own.tempDir)).length === 0
    while (!(await gone())) await new Promise((resolve) => setTimeout(resolve, 50))
  })
})

/** What opening fails with; there is nothing of it afterwards. */
async function refused(
  own: Awaited<ReturnType<typeof place>>,
  options: Partial<ApplianceOptions> = {},
): Promise<unknown> {
  const opening = openAppliance(
    { ...own, access: 'change', cacheDir: '/nonexistent', ...options },
    makeContext(),
  )
  const error: unknown = await opening.then(
    () => assert.fail('it was opened'),
    (error: unknown) => error,
  )
  assert.deepEqual(await readdir(own.tempDir), [])
  return error
}

const codeOf = (error: unknown) => (isFailure(error) ? error.code : error)

describe('an appliance is not even started', { skip, timeout: 300_000 }, () => {
  it('for a file that is no image, is cut short, or is not there', async () => {
    const own = await place()
    assert.equal(codeOf(await refused(own)), 'IMAGE_NOT_FOUND')
    await writeFile(own.path, 'no image at all'.repeat(1000))
    assert.equal(codeOf(await refused(own)), 'IMAGE_TRUNCATED')
    await truncate(own.path, MiB)
    assert.equal(codeOf(await refused(own)), 'IMAGE_UNREADABLE')
  })

  it('for an image with a backing file', async () => {
    const own = await makeImage({ format: 'qcow2' })
    const overlay = `${own.path}.overlay`
    await runTool([
      'qemu-img',
      'create',
      '-q',
      '-f',
      'qcow2',
      '-F',
      'qcow2',
      '-b',
      own.path,
      overlay,
    ])
    assert.equal(codeOf(await refused({ ...own, path: overlay })), 'IMAGE_UNSAFE')
  })

  it('for a disk without an operating system, or with two of them', async () => {
    const none = await makeImage({ files: { '/etc/os-release': undefined } })
    assert.equal(codeOf(await refused(none)), 'NO_OPERATING_SYSTEM')
    const two = await makeImage({ twoRoots: true })
    const error = await refused(two)
    assert.ok(isFailure(error, 'SEVERAL_OPERATING_SYSTEMS'))
    assert.match(error.fix ?? '', /--root-filesystem \/dev\/sda1 or --root-filesystem \/dev\/sda2/)
    assert.equal(codeOf(await refused(two, { rootFileSystem: '/dev/sda9' })), 'NO_OPERATING_SYSTEM')
  })

  it('for an encrypted disk', async () => {
    const own = await makeImage({ files: { '/etc/os-release': undefined } })
    await using file = await open(own.path, 'r+')
    await file.write(Buffer.from('LUKS\xba\xbe\0\x02', 'latin1'), 0, 8, MiB)
    assert.equal(codeOf(await refused(own)), 'FILE_SYSTEM_ENCRYPTED')
  })

  it('where its cache cannot be made, which is said', async () => {
    const own = await makeImage()
    const error = await refused(own, { cacheDir: join(own.path, 'below a file') })
    assert.ok(isFailure(error, 'FILE_UNREADABLE'), String(error))
  })
})

describe('the check for the appliance', () => {
  it('says what is there or what is missing', async () => {
    const found = await checkAppliance()
    if (found.available) assert.match(found.version ?? '', /^1\.\d+\.\d+$/)
    else assert.notEqual(found.missing ?? '', '')
  })
})
