import assert from 'node:assert/strict'
import { mkdir, open, readFile } from 'node:fs/promises'
import { suite, test } from 'node:test'
import { isFailure } from '../../base/failure.ts'
import { GiB } from '../../base/units.ts'
import { fenceUplinks } from '../../remotes/fenced-uplink.ts'
import { buildJob, type WrittenBuild } from '../../testing/build-job.ts'
import { templateOf } from '../../testing/template-of.ts'
import { BUSYBOX, makeStubInstaller } from '../../testing/stub-installer.ts'
import { tempDir } from '../../testing/temp-dir.ts'
import { openWebServer, type WebServer } from '../../testing/web-server.ts'
import type { InstallerOptions } from '../installer/installer-options.ts'
import type { BuiltImage } from '../os-builder.ts'
import type { Template } from '../template.ts'
import { installerBuilder } from './installer.ts'

const stub = makeStubInstaller()
const inDir = await tempDir()
const TREE =
  '/debian/dists/bookworm/main/installer-amd64/current/images/netboot/debian-installer/amd64'

function treeOf(): Record<string, Uint8Array> {
  if (stub === undefined) return {}
  return { [`${TREE}/linux`]: stub.kernel, [`${TREE}/initrd.gz`]: stub.initrd }
}

function templateFor({ url }: Pick<WebServer, 'url'>): Template {
  return templateOf(undefined, {
    kind: 'tdl',
    install: {
      source: { type: 'url', url: `${url}/debian` },
      diskSize: GiB,
      rootPassword: 'not to be told',
      productKey: null,
      kernelParameters: null,
    },
  })
}

/** Nothing is in what the stub installs, so nothing is looked for in it. */
const PLAIN: InstallerOptions = {
  accelerator: 'tcg',
  memory: 256,
  cpus: 1,
  network: 'isolated',
  generate_icicle: false,
  clean: false,
}

interface Outcome {
  readonly written: WrittenBuild
  readonly built?: BuiltImage
  readonly error?: unknown
}

let builds = 0
async function build(
  server: WebServer,
  options: InstallerOptions,
  cache = 'cache',
): Promise<Outcome> {
  const workDir = inDir(`work-${builds++}`)
  await mkdir(workDir)
  const template = templateFor(server)
  const given = { template, options: { ...PLAIN, ...options }, workDir, cacheDir: inDir(cache) }
  const { job, written } = buildJob(given)
  try {
    const reach = { ...job.reach, uplink: fenceUplinks(async () => []) }
    return { written, built: await installerBuilder.build({ ...job, reach }) }
  } catch (error) {
    return { written, error }
  }
}

/** What the stub wrote: its answer file, and a program of its own. */
async function readDisk(path: string): Promise<{ answer: string; program: Buffer; size: number }> {
  await using disk = await open(path, 'r')
  const program = await readFile(BUSYBOX)
  const answer = Buffer.alloc(8192)
  await disk.read(answer, 0, answer.length, 0)
  const found = Buffer.alloc(program.length)
  await disk.read(found, 0, found.length, 2048 * 512)
  return {
    answer: answer.toString().replaceAll('\0', ''),
    program: found,
    size: (await disk.stat()).size,
  }
}

suite(
  'an installer in a machine',
  { skip: stub === undefined && 'needs linux-image-cloud-amd64' },
  () => {
    test(
      'installs by an answer file of ours in its initrd, and nothing is told of the password',
      { timeout: 300_000 },
      async () => {
        await using server = await openWebServer(treeOf())
        const { written, built, error } = await build(server, {})
        assert.equal(error, undefined)
        assert.equal(built?.body?.format, 'raw')
        const { answer, program, size } = await readDisk(built?.body?.path ?? '')
        assert.match(
          answer,
          /^# Made by Ingot\.\n[^]*d-i passwd\/root-password-crypted password \$6\$/,
        )
        assert.deepEqual(program, await readFile(BUSYBOX))
        assert.equal(size, GiB)
        assert.match(written.console, /stub installer: done/)
        assert.ok(written.secrets.includes('not to be told'))
        assert.doesNotMatch(written.events.join('\n'), /not to be told/)
      },
    )

    test(
      'installs by a user’s answer file over HTTP, from media that are fetched once, behind a fence',
      { timeout: 300_000 },
      async () => {
        await using server = await openWebServer(treeOf())
        const script = 'd-i user/own string yes\n'
        const options = { install_script: script, answer_via: 'http', network: 'open' } as const
        const { built, error } = await build(server, options)
        assert.equal(error, undefined)
        assert.equal(
          (await readDisk(built?.body?.path ?? '')).answer.trimEnd(),
          options.install_script.trimEnd(),
        )
      },
    )

    test(
      'tells of a prompt within seconds, with its likely cause, the screen and a timeline',
      { timeout: 300_000 },
      async () => {
        await using server = await openWebServer(treeOf())
        const { written, error } = await build(server, {
          kernelparam: 'stub=prompt',
          timeouts: { prompt: 2 },
        })
        assert.ok(isFailure(error, 'INSTALL_FAILED'), String(error))
        assert.match(
          error.message,
          /waits for a key: “Bad archive mirror”; likely cause: the mirror has no such component/,
        )
        assert.match(written.documents.get('screenshot') ?? '', /^.PNG\r\n/)
        const timeline = JSON.parse(written.documents.get('timeline') ?? '{}') as {
          stall: { reason: string }
        }
        assert.equal(timeline.stall.reason, 'prompt')
        assert.match(written.console, /Go Back/)
      },
    )
  },
)

test('refuses templates by which no installer can work, and says why', () => {
  const { refuses } = installerBuilder
  assert.match(refuses?.(templateOf(), {}) ?? '', /does not say what is to be installed/)
  const template = templateFor({ url: 'http://mirror.example.org' })
  assert.equal(refuses?.(template, {}), undefined)
  assert.match(refuses?.(template, { answer_via: 'disc' }) ?? '', /finds no answer file by 'disc'/)
  const other = { ...template, os: { name: 'Plan9', version: '4', arch: 'x86_64' } }
  assert.match(refuses?.(other, {}) ?? '', /no installer is known for 'Plan9'/)
})
