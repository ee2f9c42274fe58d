import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { makeContext } from '../base/context.ts'
import { runTool, startModule, startProcess, stopProcess } from '../base/process.ts'
import { MiB } from '../base/units.ts'
import { fenceUplinks, findFenceTrouble } from '../remotes/fenced-uplink.ts'
import { failsWith } from '../testing/fails-with.ts'
import { waitUntilGone } from '../testing/processes.ts'
import { makeStubInstaller } from '../testing/stub-installer.ts'
import { openWebServer } from '../testing/web-server.ts'
import { makeSerialGuest } from '../testing/serial-guest.ts'
import { emulation } from './accelerator.ts'
import type { Machine, MachineOptions } from './machine.ts'
import { startMachine } from './start-machine.ts'

const stub = makeStubInstaller()
const trouble = await findFenceTrouble([], makeContext())
const directory = await mkdtemp(join(tmpdir(), 'ingot-machine-test-'))
after(() => rm(directory, { recursive: true, force: true }))
const tempDir = join(directory, 'temp')

/** A machine with little of everything, and what its guest has printed so far. */
async function start(options: Partial<MachineOptions>): Promise<Machine & { text(): string }> {
  let text = ''
  const machine = await startMachine(
    {
      firmware: 'bios',
      accelerator: emulation('a test'),
      memory: 64 * MiB,
      cpus: 1,
      network: 'none',
      tempDir,
      onConsole: (chunk) => (text += Buffer.from(chunk).toString()),
      ...options,
    },
    makeContext(),
  )
  return { ...machine, text: () => text }
}

async function makeDisk(name: string, content: Uint8Array): Promise<string> {
  const path = join(directory, name)
  await writeFile(path, content)
  return path
}

test(
  'boots an image, tells what it prints and how it ended, and leaves it as it was',
  { timeout: 300_000 },
  async () => {
    const content = makeSerialGuest('hello from the guest\n', 'power-off')
    // A name that would mean something to QEMU's own option syntax.
    const path = await makeDisk('a,b=c,format=qcow2.raw', content)
    await using machine = await start({ disk: { path, format: 'raw', growBy: MiB } })
    assert.equal(await machine.ended, 'the guest powered off')
    assert.match(machine.text(), /^[^]*SeaBIOS[^]*hello from the guest\n$/)
    assert.deepEqual(await readFile(path), Buffer.from(content))
  },
)

test(
  'tells of resets, and has a screen, a port for SSH and no files once it runs',
  { timeout: 300_000 },
  async () => {
    const path = await makeDisk('resets.raw', makeSerialGuest('again\n', 'reset'))
    const resets = Promise.withResolvers<void>()
    const machine = await start({
      disk: { path, format: 'raw' },
      network: 'isolated',
      onReset: resets.resolve,
    })
    try {
      await resets.promise
      const picture = Buffer.from(await machine.screenshot())
      assert.equal(picture.toString('latin1', 1, 4), 'PNG')
      assert.ok(picture.readUInt32BE(16) >= 640, 'a screen of at least 640 points')
      assert.ok((machine.sshPort ?? 0) > 1023)
      const own = await readdir(tempDir, { recursive: true, withFileTypes: true })
      assert.deepEqual(
        own.filter((entry) => entry.isFile()).map(({ name }) => name),
        [],
      )
    } finally {
      await machine[Symbol.asyncDispose]()
    }
    await waitUntilGone(machine.pid)
    assert.deepEqual(await readdir(tempDir), [])
  },
)

test(
  'dies with its owner, however that dies; the next machine clears up',
  { timeout: 300_000 },
  async () => {
    const path = await makeDisk('stays.raw', makeSerialGuest('still here\n'))
    const owner = startModule(new URL('../testing/machine-owner.ts', import.meta.url), {
      args: [path, tempDir],
    })
    const [pid] = (await once(owner, 'message')) as [number]
    assert.equal((await readdir(tempDir)).length, 1)
    process.kill(owner.pid ?? 0, 'SIGKILL')
    await waitUntilGone(pid)
    await using next = await start({})
    assert.ok(next.pid > 0)
    assert.equal((await readdir(tempDir)).length, 1, 'only the directory of the next one')
  },
)

test('tells who ended it, when that was not the guest', { timeout: 300_000 }, async () => {
  const path = await makeDisk('ended.raw', makeSerialGuest('still here\n'))
  await using machine = await start({ disk: { path, format: 'raw' } })
  process.kill(machine.pid, 'SIGTERM')
  const sender = new RegExp(`host-signal \\(terminating on signal 15 from pid ${process.pid}\\b`)
  assert.match(await machine.ended, sender)
})

test('refuses an image that needs another file', { timeout: 300_000 }, async () => {
  const base = await makeDisk('secret.raw', Buffer.alloc(MiB))
  const path = join(directory, 'overlay.qcow2')
  await runTool(['qemu-img', 'create', '-q', '-f', 'qcow2', '-b', base, '-F', 'raw', path])
  await assert.rejects(start({ disk: { path, format: 'qcow2' } }), failsWith('IMAGE_UNSAFE'))
})

test('refuses an image that is missing or no image', { timeout: 300_000 }, async () => {
  const missing = { path: join(directory, 'none.raw'), format: 'raw' } as const
  await assert.rejects(start({ disk: missing }), failsWith('IMAGE_NOT_FOUND'))
  const path = await makeDisk('text.qcow2', Buffer.from('this is no qcow2'.repeat(100)))
  await assert.rejects(start({ disk: { path, format: 'qcow2' } }), failsWith('IMAGE_UNREADABLE'))
})

test('refuses an image that somebody writes to', { timeout: 300_000 }, async () => {
  const path = await makeDisk('busy.raw', makeSerialGuest('busy\n'))
  const writer = startProcess(['qemu-io', '-f', 'raw', path], { stdio: ['pipe', 'pipe', 'ignore'] })
  try {
    await once(writer.stdout!, 'data') // its prompt: the file is open
    await assert.rejects(start({ disk: { path, format: 'raw' } }), failsWith('IMAGE_BUSY'))
  } finally {
    await stopProcess(writer)
  }
})

test('says what QEMU said when it does not start', { timeout: 300_000 }, async () => {
  const accelerator = { kind: 'tcg', cpu: 'no-such-processor' } as const
  await assert.rejects(start({ accelerator }), (error: Error) => {
    assert.ok(failsWith('MACHINE_FAILED')(error))
    assert.match(error.message, /^QEMU did not start: .*no-such-processor/)
    return true
  })
})

test('ends when its context is aborted', { timeout: 300_000 }, async () => {
  const path = await makeDisk('aborted.raw', makeSerialGuest('waiting\n'))
  const controller = new AbortController()
  const options = {
    disk: { path, format: 'raw' },
    firmware: 'bios',
    accelerator: emulation('a test'),
    memory: 64 * MiB,
    cpus: 1,
    network: 'none',
    tempDir,
  } as const
  await using machine = await startMachine(options, makeContext({ signal: controller.signal }))
  controller.abort()
  await machine.ended
  await waitUntilGone(machine.pid)
  await assert.rejects(
    startMachine(options, makeContext({ signal: controller.signal })),
    failsWith('INTERRUPTED'),
  )
})

test(
  'a guest behind a fence reaches what is named on this host, and nothing else of it',
  {
    timeout: 300_000,
    skip: stub === undefined ? 'needs linux-image-cloud-amd64' : (trouble ?? false),
  },
  async () => {
    await using secret = await openWebServer({ '/': 'not for guests' })
    await using mirror = await openWebServer({ '/': 'packages' })
    // To a guest in QEMU's user network its host's loopback is 10.0.2.2.
    const [own, named] = [secret, mirror].map(({ url }) => url.replace('127.0.0.1', '10.0.2.2'))
    const reach = [own, named].map((url) => `${url}/`).join(',')
    await using machine = await start({
      memory: 256 * MiB,
      kernel: {
        path: await makeDisk('linux', stub?.kernel ?? new Uint8Array()),
        initrd: await makeDisk('initrd', stub?.initrd ?? new Uint8Array()),
        commandLine: `console=ttyS0 quiet stub=reach reach=${reach}`,
      },
      network: fenceUplinks(async () => [mirror.url]),
    })
    const forwarded = `:${(machine.sshPort ?? 0).toString(16).toUpperCase().padStart(4, '0')} `
    const sockets = await runTool([...machine.launcher, 'cat', '/proc/net/tcp'])
    assert.ok(sockets.includes(forwarded), 'its port for SSH is in its own network')
    assert.ok(!(await readFile('/proc/net/tcp', 'utf8')).includes(forwarded), 'and not in ours')
    assert.equal(await machine.ended, 'the guest powered off')
    assert.deepEqual(machine.text().match(/reached \S+/g), [`reached ${named}/`])
    assert.deepEqual(secret.asked, [])
  },
)
