import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { mkdir } from 'node:fs/promises'
import { suite, test } from 'node:test'
import { runTool } from '../../base/process.ts'
import { pushJob } from '../../testing/push-job.ts'
import { openTestDisk } from '../../testing/pushed-disk.ts'
import { tempDir } from '../../testing/temp-dir.ts'
import { makeTinyImage } from '../../testing/tiny-image.ts'
import { containerTarget as target } from './container.ts'

const skip =
  process.env['INGOT_TEST_FULL'] === '1' ? false : 'starts an appliance: INGOT_TEST_FULL=1'

suite('containers of what only a kernel reads', { skip }, async () => {
  if (skip !== false) return
  const at = await tempDir()
  await makeTinyImage(at('clean.raw'), { layout: 'none' })
  await runTool(['cp', '--sparse=always', at('clean.raw'), at('dirty.raw')])
  // As a guest leaves its disk whose power was cut: with a journal to be read first.
  await runTool(['debugfs', '-w', '-R', 'feature needs_recovery', at('dirty.raw')])

  test(
    'a root with an open journal gives the same archive as a clean one',
    { timeout: 300_000 },
    async () => {
      const digests: string[] = []
      for (const name of ['clean', 'dirty']) {
        const workDir = at(`work-${name}`)
        const views = at(`views-${name}`)
        for (const directory of [workDir, views]) await mkdir(directory)
        await using disk = await openTestDisk(at(`${name}.raw`), views)
        const { job } = pushJob({
          disk,
          options: { create_docker_metadata: false, tar_excludes: ['lost+found'] },
          provider: { name: 'none', options: {}, credentials: {} },
          workDir,
        })
        const opened = await target.openArtifact!(job)
        const hash = createHash('sha256')
        for await (const chunk of opened.stream(job.context.signal)) hash.update(chunk)
        digests.push(hash.digest('hex'))
      }
      assert.equal(digests[0], digests[1])
    },
  )
})
