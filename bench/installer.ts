/**
 * What an installation costs beyond the guest's own work: a build by an installer that is none (see
 * `src/testing/stub-installer.ts`), against plain QEMU with the same kernel, initrd and disk. Media are fetched in the
 * first build and kept for the others, as between builds of one system.
 */
import { mkdir, open, writeFile } from 'node:fs/promises'
import { loadavg } from 'node:os'
import { gzipSync } from 'node:zlib'
import { runTool } from '../src/base/process.ts'
import { GiB } from '../src/base/units.ts'
import { installerBuilder } from '../src/factory/builders/installer.ts'
import { makeCpio } from '../src/factory/installer/cpio.ts'
import type { Template } from '../src/factory/template.ts'
import { buildJob } from '../src/testing/build-job.ts'
import { templateOf } from '../src/testing/template-of.ts'
import { makeStubInstaller } from '../src/testing/stub-installer.ts'
import { openWebServer } from '../src/testing/web-server.ts'
import { median } from './measure.ts'
import { openPlace, readRuns } from './place.ts'
import { printBars, printHeading } from './report.ts'

const MAX_OVERHEAD_S = 10
const DISK = 10 * GiB
const MEMORY_MIB = 256
const TREE = '/dists/bookworm/main/installer-amd64/current/images/netboot/debian-installer/amd64'

const runs = readRuns()
const stub = makeStubInstaller()
if (stub === undefined) throw new Error('this benchmark needs linux-image-cloud-amd64')
await using place = await openPlace()
await using server = await openWebServer({
  [`${TREE}/linux`]: stub.kernel,
  [`${TREE}/initrd.gz`]: stub.initrd,
})
const [kernel, initrd] = [place.at('kernel'), place.at('initrd')]
await writeFile(kernel, stub.kernel)
await writeFile(initrd, stub.initrd)

printHeading('Installing', `bench/installer.ts --runs ${runs}`)
const ours: number[] = []
const plain: number[] = []
await build('first') // fetches the media
for (let run = 1; run <= runs; run++) {
  ours.push(await timed(() => build(`build-${run}`)))
  plain.push(await timed(() => runPlainly(`plain-${run}`)))
}
const overheadS = median(ours) - median(plain)
const rows = { 'ingot, builder installer': median(ours), 'plain QEMU': median(plain) }
for (const [name, seconds] of Object.entries(rows))
  process.stdout.write(`| ${name} | ${seconds.toFixed(1)} s |\n`)
process.stdout.write(`\nMedians of ${runs}; load ${loadavg()[0]?.toFixed(1)}.\n\n`)
process.exitCode = printBars([
  {
    what: 'an installation, beyond the guest’s work',
    wanted: `under ${MAX_OVERHEAD_S} s`,
    found: `${overheadS.toFixed(1)} s`,
    met: overheadS < MAX_OVERHEAD_S,
  },
])

async function timed(work: () => Promise<void>): Promise<number> {
  const start = performance.now()
  await work()
  return (performance.now() - start) / 1000
}

function templateFor(url: string): Template {
  return templateOf(undefined, {
    kind: 'tdl',
    install: {
      source: { type: 'url', url },
      diskSize: DISK,
      rootPassword: null,
      productKey: null,
      kernelParameters: 'quiet',
    },
  })
}

async function build(name: string): Promise<void> {
  const workDir = place.at(name)
  await mkdir(workDir)
  const options = {
    accelerator: 'tcg',
    memory: MEMORY_MIB,
    cpus: 1,
    network: 'isolated',
    generate_icicle: false,
    clean: false,
  } as const
  const template = templateFor(server.url)
  const { job } = buildJob({ template, options, workDir, cacheDir: place.at('cache') })
  await installerBuilder.build(job)
}

/** As somebody would do it by hand, with an answer file that the initrd has already. */
async function runPlainly(name: string): Promise<void> {
  const disk = place.at(`${name}.raw`)
  await using file = await open(disk, 'w')
  await file.truncate(DISK)
  const answered = place.at(`${name}.initrd`)
  await writeFile(answered, Buffer.concat([stub!.initrd, answerArchive()]))
  const argv = [
    ['qemu-system-x86_64', '-nodefaults', '-display', 'none', '-no-reboot'],
    ['-machine', 'q35', '-accel', 'tcg,thread=multi', '-cpu', 'max,la57=off'],
    ['-m', String(MEMORY_MIB), '-kernel', kernel, '-initrd', answered],
    ['-append', 'console=ttyS0 quiet', '-serial', 'stdio'],
    ['-drive', `file=${disk},format=raw,if=virtio`],
  ].flat()
  await runTool(argv, { timeoutMs: 600_000 })
  if ((await file.stat()).blocks === 0) throw new Error('plain QEMU installed nothing')
}

function answerArchive(): Uint8Array {
  const content = Buffer.from('d-i some/question string answer\n')
  return gzipSync(makeCpio([{ path: 'preseed.cfg', content }]))
}
