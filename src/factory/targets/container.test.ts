import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, suite, test } from 'node:test'
import { findProgram, runProcess, runTool } from '../../base/process.ts'
import { findFaults } from '../../schema/find-faults.ts'
import { failsWith } from '../../testing/fails-with.ts'
import { clearContext, pushJob } from '../../testing/push-job.ts'
import { factoryImage } from '../../testing/factory-image.ts'
import { bytesOfSource, openTestDisk } from '../../testing/pushed-disk.ts'
import { openTestRegistry, REGISTRY_USER } from '../../testing/registry.ts'
import { tempDir } from '../../testing/temp-dir.ts'
import { makeTinyImage } from '../../testing/tiny-image.ts'
import type { Pushed } from '../cloud-target.ts'
import type { ContainerOptions, ContainerProviderOptions } from './_container-schemas.ts'
import { containerTarget as target } from './container.ts'

const at = await tempDir()
await makeTinyImage(at('disk.raw'), {
  files: { '/srv/greeting': 'hello\n', '/srv/cache/large': 'x'.repeat(100_000) },
})
const disk = await openTestDisk(at('disk.raw'), at('.'))
after(async () => await disk[Symbol.asyncDispose]())

const missing = ['skopeo', 'docker-registry'].filter((name) => findProgram(name) === undefined)
const skip = missing.length > 0 && `${missing.join(' and ')} not installed`

let made = 0
const workDir = async () => {
  const path = at(`work-${made++}`)
  await runTool(['mkdir', path])
  return path
}
const noProvider = { name: 'none', options: {}, credentials: {} }
const artifact = async (options: ContainerOptions, path = at(`archive-${made++}`)) => {
  const { job } = pushJob({ disk, options, provider: noProvider, workDir: await workDir() })
  const opened = await target.openArtifact!(job)
  const chunks: Uint8Array[] = []
  for await (const chunk of opened.stream(job.context.signal)) chunks.push(Uint8Array.from(chunk))
  const bytes = Buffer.concat(chunks)
  await writeFile(path, bytes)
  return { path, bytes, opened }
}
const skopeo = async (...words: string[]) =>
  (await runTool(['skopeo', '--insecure-policy', ...words], { timeoutMs: 60_000 })).toString()
const namesIn = async (tar: string) =>
  (await runTool(['tar', '-tf', tar])).toString().trimEnd().split('\n')
const told = ({ properties = {} }: Pushed, name: string) => {
  const value = properties[name]
  assert.ok(typeof value === 'string')
  return value
}
const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex')

suite('archives of the container target', { skip }, () => {
  const described: ContainerOptions = {
    repository: 'demo/web',
    tag: '1.2',
    docker_cmd: 'exec sh',
    docker_env: ['A=1', 'B=two words'],
    docker_label: { zeta: 'z', alpha: 'a' },
    docker_set_arch_label: true,
    container_entrypoint: ['/bin/init'],
    container_user: 'daemon',
    container_workdir: '/srv',
    comment: 'made by a test',
  }

  for (const [container_archive, transport] of [
    ['oci', 'oci-archive'],
    ['docker', 'docker-archive'],
  ] as const)
    test(`skopeo reads ${transport}s, and in them what was asked for`, async () => {
      const { path } = await artifact({ ...described, container_archive })
      const shown = JSON.parse(await skopeo('inspect', '--config', `${transport}:${path}`))
      assert.equal(shown.architecture, 'amd64')
      assert.deepEqual(shown.config, {
        User: 'daemon',
        Env: ['A=1', 'B=two words'],
        Entrypoint: ['/bin/init'],
        Cmd: ['/bin/sh', '-c', 'exec sh'],
        WorkingDir: '/srv',
        Labels: { alpha: 'a', architecture: 'amd64', zeta: 'z' },
      })
      assert.equal(shown.history[0].comment, 'made by a test')
      const out = at(`dir-${made++}`)
      await skopeo('copy', `${transport}:${path}`, `dir:${out}`)
      const { layers } = JSON.parse(await readFile(join(out, 'manifest.json'), 'utf8'))
      const names = await namesIn(join(out, layers[0].digest.slice('sha256:'.length)))
      assert.ok(names.includes('srv/greeting') && names.includes('etc/os-release'))
      assert.ok(!names.includes('etc/fstab'), 'upstream leaves it out')
    })

  test('are the same bytes each time, of a size that is told before', async () => {
    for (const options of [{}, { container_archive: 'docker' as const }]) {
      const [one, other] = [await artifact(options), await artifact(options)]
      assert.equal(sha256(one.bytes), sha256(other.bytes))
      assert.equal(one.opened.size, one.bytes.length)
    }
  })

  test('hold files with owners and modes, and no later time than asked for', async () => {
    const options = {
      create_docker_metadata: false,
      container_created: '2020-01-02T03:04:05Z',
      tar_excludes: './srv/cache,./etc/shado*',
    }
    const { path, opened } = await artifact(options)
    assert.match(opened.fileName, /^debian-12\.tar$/)
    const list = (
      await runTool(['tar', '-tvf', path, '--full-time'], {
        env: { TZ: 'UTC', PATH: '/usr/bin:/bin' },
      })
    ).toString()
    assert.match(list, /-rw-r--r-- 0\/0 +6 2020-01-02 03:04:05 srv\/greeting/)
    assert.doesNotMatch(list, /srv\/cache|etc\/shadow|^[bc]/m)
    assert.match(list, /etc\/fstab/)
    assert.equal((await runTool(['tar', '-xOf', path, 'srv/greeting'])).toString(), 'hello\n')
  })

  test('are packed as asked for', async () => {
    for (const [compress, unpack] of [
      ['gzip', 'gzip'],
      ['zstd', 'zstd'],
      ['xz', 'xz'],
      ['bzip2', 'bzip2'],
    ] as const) {
      const { path, opened } = await artifact({ compress, container_archive: 'docker' })
      assert.match(opened.fileName, /\.docker\.tar\.(gz|zst|xz|bz2)$/)
      const tar = await runTool([unpack, '-dc', path], { maxOutput: 1 << 28 })
      assert.ok(tar.includes('manifest.json'))
    }
  })

  test('hold a disk for KubeVirt, which is QEMU’s there', async () => {
    const { path } = await artifact({ container_content: 'disk', container_archive: 'docker' })
    const [layer = ''] = (await namesIn(path)).filter((name) => name.endsWith('.tar'))
    await writeFile(
      at('layer.tar'),
      await runTool(['tar', '-xOf', path, layer], { maxOutput: 1 << 28 }),
    )
    const list = (await runTool(['tar', '-tvf', at('layer.tar')])).toString()
    assert.match(list, /dr-xr-xr-x 107\/107 .* disk\/\n-r--r----- 107\/107 .* disk\/disk\.qcow2/)
    const held = await runTool(['tar', '-xOf', at('layer.tar'), 'disk/disk.qcow2'], {
      maxOutput: 1 << 28,
    })
    assert.ok(held.equals(await bytesOfSource(await disk.open('qcow2'))))
  })

  test('end when they are interrupted', async () => {
    const { job } = pushJob({ disk, options: {}, provider: noProvider, workDir: await workDir() })
    const opened = await target.openArtifact!(job)
    await assert.rejects(async () => {
      for await (const chunk of opened.stream(AbortSignal.abort())) assert.ok(chunk)
    }, failsWith('INTERRUPTED'))
  })
})

suite('the container target and a registry', { skip }, async () => {
  if (skip !== false) return
  const registry = await openTestRegistry({ password: true })
  after(async () => await registry[Symbol.asyncDispose]())
  const provider = (credentials: { username?: string; password?: string } = REGISTRY_USER) => ({
    name: 'registry',
    options: {
      registry: registry.host,
      plain_http: true,
      prefix: 'golden',
    } as ContainerProviderOptions,
    credentials,
  })
  const credentials = `${REGISTRY_USER.username}:${REGISTRY_USER.password}`
  const push = async (options: ContainerOptions, who = provider()) => {
    const { job, written } = pushJob({ disk, options, provider: who, workDir: await workDir() })
    return { pushed: await target.push!(job), written }
  }
  const fetchBack = async (reference: string) => {
    const out = at(`dir-${made++}`)
    const source = ['--src-tls-verify=false', '--src-creds', credentials]
    await skopeo('copy', ...source, `docker://${reference}`, `dir:${out}`)
    return out
  }

  for (const container_compression of ['gzip', 'zstd', 'none'] as const)
    test(`what was pushed with ${container_compression} comes back the same`, async () => {
      const { pushed, written } = await push({ tag: container_compression, container_compression })
      const out = await fetchBack(told(pushed, 'reference'))
      const manifest = await readFile(join(out, 'manifest.json'))
      assert.equal(`sha256:${sha256(manifest)}`, pushed.properties?.['manifest_digest'])
      assert.ok(pushed.identifier.endsWith(`@sha256:${sha256(manifest)}`))
      assert.match(pushed.identifier, /\/golden\/debian-12@/)
      const blobs = (await readdir(out)).filter((name) => /^[0-9a-f]{64}$/.test(name))
      assert.equal(blobs.length, 2)
      for (const name of blobs) assert.equal(sha256(await readFile(join(out, name))), name)
      assert.deepEqual(
        written.percents,
        written.percents.toSorted((a, b) => a - b),
      )
      assert.deepEqual(
        written.held.map((thing) => (thing as { kind: string }).kind),
        ['manifest'],
      )
    })

  test('a layer that is there is not sent again, and a manifest that was there is nobody’s to clear', async () => {
    const { pushed } = await push({ tag: 'one' })
    const { pushed: again, written } = await push({ tag: 'two' })
    assert.equal(pushed.properties?.['manifest_digest'], again.properties?.['manifest_digest'])
    assert.deepEqual(written.everHeld, [])
  })

  test('a disk for KubeVirt is pushed while it is read', async () => {
    const { pushed } = await push({ container_content: 'disk', repository: 'kube/disk' })
    const out = await fetchBack(told(pushed, 'reference'))
    const layer = join(out, told(pushed, 'layer_digest').slice(7))
    const held = await runTool(['tar', '-xOf', layer, 'disk/disk.qcow2'], { maxOutput: 1 << 28 })
    assert.ok(held.equals(await bytesOfSource(await disk.open('qcow2'))))
  })

  test('an image is removed by its digest; that it is gone is no failure', async () => {
    const { pushed } = await push({ tag: 'gone', repository: 'to/remove' })
    const image = factoryImage({ identifierOnProvider: pushed.identifier })
    await target.remove!(image, provider(), clearContext())
    const reference = `docker://${told(pushed, 'reference')}`
    const argv = ['skopeo', 'inspect', '--tls-verify=false', '--creds', credentials, reference]
    assert.notEqual((await runProcess(argv)).code, 0)
    await target.remove!(image, provider(), clearContext())
  })

  test('an interrupted push leaves nothing that is held, once it is cleared', async () => {
    const over = new AbortController()
    const options: ContainerOptions = { repository: 'to/interrupt', docker_env: 'N=1' }
    const { job, written } = pushJob({
      disk,
      options,
      provider: provider(),
      workDir: await workDir(),
      signal: over.signal,
    })
    const add = job.holdings.add.bind(job.holdings)
    const interrupting: typeof job = {
      ...job,
      holdings: {
        ...job.holdings,
        add: async (thing: Parameters<typeof add>[0]) => {
          const held = await add(thing)
          const update = async (next: Parameters<typeof add>[0]) => {
            await held.update(next)
            over.abort()
          }
          return { ...held, update }
        },
      },
    }
    await assert.rejects(async () => await target.push!(interrupting), failsWith('INTERRUPTED'))
    assert.equal(written.held.length, 1)
    assert.deepEqual(await target.clear!(written.held, provider(), clearContext()), [])
    assert.deepEqual(await target.clear!(written.held, provider(), clearContext()), [])
  })

  test('a wrong password is refused, and is not shown', async () => {
    const who = provider({ username: 'ann', password: 'guess' })
    await assert.rejects(
      async () => await push({}, who),
      (error) => {
        assert.ok(!`${JSON.stringify(error)}${String(error)}`.includes('guess'))
        return failsWith('CLOUD_DENIED')(error)
      },
    )
    await assert.rejects(async () => await push({}, provider({})), failsWith('CLOUD_DENIED'))
  })

  test('one that is away is told of', async () => {
    const away = { ...provider(), options: { registry: '127.0.0.1:1', plain_http: true } }
    await assert.rejects(async () => await push({}, away), failsWith('CLOUD_AWAY'))
  })
})

const faults = (options: object) => findFaults(target.options, options).length

suite('options of the container target', () => {
  test('names that no registry takes are refused', () => {
    assert.equal(faults({ repository: 'a/b-c', tag: 'v1', docker_label: { a: 'b' } }), 0)
    for (const repository of ['../x', 'A/b', 'a//b', '/a', 'a/']) assert.ok(faults({ repository }))
    assert.ok(faults({ tag: '-x' }))
    assert.ok(faults({ repo: 'x' }))
    assert.ok(target.refuses?.({ container_content: 'disk', create_docker_metadata: false }))
  })
})
