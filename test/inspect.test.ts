/** `ingot inspect` as people and programs meet it: answers, exit codes, and what it opens. */
import assert from 'node:assert/strict'
import { createReadStream, realpathSync } from 'node:fs'
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { gzipSync } from 'node:zlib'
import { findProgram, runProcess } from '../src/base/process.ts'
import { makeBaseImages } from '../src/testing/hostile/base-images.ts'
import { type HostileImage } from '../src/testing/hostile/hostile-image.ts'
import { hostileImages } from '../src/testing/hostile/hostile-images.ts'
import { gptDisk } from '../src/testing/hostile/hostile-partitions.ts'
import { endServer, listen } from '../src/testing/listen.ts'
import { tempDir } from '../src/testing/temp-dir.ts'

const INGOT = join(import.meta.dirname, '../ingot')
const at = await tempDir()
await mkdir(at('bases'), { recursive: true })
const bases = await makeBaseImages(at('bases'))

async function ingot(words: readonly string[], input?: Uint8Array) {
  const { code, stdout, stderr } = await runProcess([INGOT, 'inspect', ...words], { input })
  return { code, stdout: stdout.toString(), stderr: stderr.toString() }
}

const linesOf = (text: string) =>
  text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>)

await writeFile(at('good.qcow2'), bases.qcow2)
await writeFile(at('disk.raw'), gptDisk())
const backed = Buffer.from(bases.qcow2)
backed.writeBigUInt64BE(1024n, 8)
backed.writeUInt32BE(11, 16)
backed.write('/etc/passwd', 1024)
await writeFile(at('backed.qcow2'), backed)

describe('ingot inspect', () => {
  it('says what images are, one line for each, in the order in which they were named', async () => {
    const files = [at('good.qcow2'), at('backed.qcow2'), at('disk.raw')]
    const { code, stdout } = await ingot([...files, '--json'])
    assert.equal(code, 4)
    const lines = linesOf(stdout)
    assert.deepEqual(
      lines.map(({ file, format, safe, virtualSize }) => [file, format, safe, virtualSize]),
      [
        [files[0], 'qcow2', true, 2 ** 30],
        [files[1], 'qcow2', false, 2 ** 30],
        [files[2], 'raw', true, 4 * 2 ** 20],
      ],
    )
    const keys = ['file', 'claim', 'format', 'safe', 'size', 'virtualSize', 'findings']
    for (const line of lines) assert.deepEqual(Object.keys(line), keys)
    assert.equal(lines[0]?.['claim'], null)
    const [finding] = (lines[1]?.['findings'] ?? []) as Record<string, unknown>[]
    assert.deepEqual(
      [finding?.['code'], finding?.['severity'], finding?.['at']],
      ['BACKING_FILE', 'refuse', 8],
    )
  })

  it('answers 0 when all are safe, 4 when one is not, 3 when one is not there', async () => {
    assert.equal((await ingot([at('good.qcow2'), at('disk.raw')])).code, 0)
    assert.equal((await ingot([at('good.qcow2'), '--claim', 'raw'])).code, 4)
    assert.equal((await ingot([at('good.qcow2'), at('none')])).code, 3)
    assert.equal((await ingot([at('none'), at('backed.qcow2')])).code, 4)
    assert.equal((await ingot([at('good.qcow2'), '--claim', 'qcow7'])).code, 2)
    assert.equal((await ingot([])).code, 2)
  })

  it('tells people the partitions and the findings', async () => {
    const good = await ingot([at('disk.raw')])
    assert.match(good.stdout, /safe .*disk\.raw: raw, 4\.0 MiB/)
    assert.match(good.stdout, /^ +1 +1\.0 MiB/m)
    const bad = await ingot([at('backed.qcow2')])
    assert.match(bad.stdout, /refused: .*\(BACKING_FILE\) at byte 8/)
  })

  it('reads standard input', async () => {
    const { code, stdout } = await ingot(['-', '--claim', 'raw.gz'], gzipSync(gptDisk()))
    assert.equal(code, 0)
    assert.match(stdout, /raw\.gz/)
    assert.equal((await ingot(['-', '--claim', 'raw.gz'], bases.qcow2)).code, 4)
  })

  it('fetches from an address, from a private one only when told to', async () => {
    const server = createServer((_, response) => {
      createReadStream(at('good.qcow2')).pipe(response)
    })
    const url = `${await listen(server)}/image`
    after(() => endServer(server))
    const refused = await ingot([url])
    assert.equal(refused.code, 1)
    assert.match(refused.stderr, /--allow-private/)
    const { code, stdout } = await ingot([url, '--allow-private', '--json', '--quiet'])
    assert.deepEqual([code, linesOf(stdout)[0]?.['format']], [0, 'qcow2'])
  })

  it('refuses a hostile image of every family, in one call for each claim', async () => {
    const byClaim = new Map<string, HostileImage[]>()
    const sample = hostileImages(bases).filter((_, index) => index % 15 === 0)
    for (const image of sample)
      byClaim.set(image.claim, [...(byClaim.get(image.claim) ?? []), image])
    for (const [claim, images] of byClaim) {
      const files = await Promise.all(
        images.map(async ({ make }, index) => {
          await writeFile(at(`${claim}-${index}`), await make())
          return at(`${claim}-${index}`)
        }),
      )
      const { code, stdout } = await ingot([...files, '--claim', claim, '--json'])
      assert.equal(code, 4, claim)
      for (const [index, line] of linesOf(stdout).entries())
        assert.equal(line['safe'], false, `${claim}: ${images[index]?.name}`)
    }
  })
})

/** Files that were opened while these were inspected, without those of programs and libraries. */
async function openedFor(...words: string[]): Promise<string[]> {
  const traces = at('traces')
  await mkdir(traces, { recursive: true })
  const argv = [
    'strace',
    '-ff',
    '-qq',
    '-e',
    'trace=open,openat,openat2,creat,execve',
    '-o',
    join(traces, 'of'),
  ]
  const env = { ...process.env, NODE_DISABLE_COMPILE_CACHE: '1' } as Record<string, string>
  await runProcess([...argv, INGOT, 'inspect', ...words], { env })
  const opened = new Set<string>()
  const texts = (await readdir(traces)).map((name) => readFile(join(traces, name), 'latin1'))
  for (const line of (await Promise.all(texts)).join('\n').split('\n')) {
    const [, path, result] = /"([^"]*)".* = (-?\d+)/.exec(line) ?? []
    if (path !== undefined && Number(result) >= 0) opened.add(path)
  }
  const root = realpathSync(join(import.meta.dirname, '..'))
  const own = new RegExp(
    `^(${root}/|/usr/|/lib|/proc/|/sys/|/dev/(null|tty|urandom)|/etc/(ld\\.so|ssl/|localtime))`,
  )
  return [...opened].filter((path) => path.startsWith(at('')) || !own.test(path))
}

describe('what an image names', () => {
  const skip = findProgram('strace') === undefined && 'strace is not installed'

  it('is not opened, nor anything else but the file itself', { skip }, async () => {
    const descriptor =
      '# Disk DescriptorFile\nversion=1\nparentCID=ffffffff\ncreateType="monolithicFlat"\nRW 2048 FLAT "/etc/passwd" 0\n'
    await writeFile(at('named.vmdk'), descriptor)
    const files = [at('backed.qcow2'), at('named.vmdk'), at('good.qcow2')]
    const opened = await openedFor(...files)
    assert.deepEqual(opened.toSorted(), files.toSorted())
  })
})
