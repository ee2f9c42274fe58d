import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { parseRecipe } from '../../recipes/parse-recipe.ts'
import type { Report } from '../../recipes/report.ts'
import { toFacts } from '../../remotes/facts.ts'
import { planBuild } from './build-plan.ts'
import { toManifest } from './manifest.ts'

const { recipe } = parseRecipe(
  'name: golden\nbase: {distro: debian, release: bookworm}\nvalidators: []\n',
  {
    file: '/somewhere/private/golden.yaml',
    resourceRoots: [],
    validators: new Map(),
    readResource: () => Buffer.alloc(0),
  },
)

describe('the manifest', () => {
  assert.ok(recipe)
  const facts = toFacts('ID=debian\nVERSION_ID="12"\n', 'x86_64')
  const report: Report = {
    recipe,
    target: { name: 'golden', via: 'sandbox', place: 'image' },
    facts,
    mode: 'reconcile',
    args: { token: '***' },
    startedAt: new Date(0),
    durationMs: 5,
    ok: true,
    verdicts: [],
  }
  const manifest = toManifest({
    recipe,
    plan: planBuild(recipe, { output: 'golden.raw', values: new Map() }),
    image: {
      file: 'golden.raw',
      format: 'raw',
      size: 1,
      virtualSize: 1,
      sha256: 'a',
      sha512: 'b',
      reproducible: true,
    },
    os: {
      time: new Date('2026-01-31T00:00:00Z'),
      temporaryFiles: [],
      environment: { http_proxy: 'http://me:secret@proxy.example' },
      sources: [{ uri: 'http://m.example/debian', suites: ['bookworm'], components: ['main'] }],
      keep: async () => {},
    },
    report,
    clean: {
      tasks: [
        { name: 'logs', paths: ['/var/log/a', '/var/log/b'] },
        { name: 'mail', paths: [] },
      ],
      left: [],
    },
    content: { files: 1, directories: 2, links: 3, others: 0, bytes: 4 },
    packages: [
      { name: 'libssl3', version: '1', architecture: 'amd64', provides: [], source: 'openssl' },
    ],
    tools: { ingot: '0.1.0' },
    startedAt: new Date('2026-02-01T00:00:00Z'),
    phases: [
      { name: 'packages', durationMs: 7 },
      { name: 'disk', durationMs: 3 },
    ],
  })
  const data = JSON.parse(JSON.stringify(manifest)) as Record<string, Record<string, unknown>>

  it('says what the image was made from and what is in it', () => {
    assert.equal(data['recipe']?.['digest'], `sha256:${recipe.digest}`)
    assert.deepEqual(data['recipe']?.['arguments'], { token: '***' })
    assert.deepEqual(data['packages'], [
      { name: 'libssl3', version: '1', architecture: 'amd64', source: 'openssl' },
    ])
    assert.deepEqual(data['cleaned'], [{ task: 'logs', paths: 2 }])
    assert.equal(data['sourceDate'], '2026-01-31T00:00:00.000Z')
  })

  it('says how long it took', () => {
    assert.equal(data['times']?.['durationMs'], 10)
  })

  it('tells nothing of the building host: no paths, no proxies', () => {
    assert.doesNotMatch(JSON.stringify(manifest), /private|secret|proxy/)
  })
})
