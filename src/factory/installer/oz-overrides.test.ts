import assert from 'node:assert/strict'
import { test } from 'node:test'
import { failsWith } from '../../testing/fails-with.ts'
import { applyOzOverrides } from './oz-overrides.ts'

test('what oz.cfg sets is an option here, and what has no meaning is told with the reason', () => {
  const oz = {
    libvirt: { cpus: 4, memory: '2048', bridge_name: 'virbr0' },
    timeouts: { install: '2400', inactivity: 600 },
    cache: { jeos: 'yes', original_media: 'no' },
    paths: { output_dir: '/elsewhere' },
  }
  const { options, told } = applyOzOverrides({ oz_overrides: JSON.stringify(oz) })
  assert.deepEqual(options, {
    cpus: 4,
    memory: 2048,
    use_jeos_cache: true,
    timeouts: { install: 2400, inactivity: 600 },
  })
  assert.deepEqual(told, [
    'oz_overrides: libvirt.bridge_name has no effect: no libvirt is used',
    'oz_overrides: cache.original_media has no effect: media are always kept',
    'oz_overrides: paths.output_dir has no effect: files lie where the configuration of Ingot says',
  ])
})

test('options that are given themselves hold', () => {
  const given = {
    cpus: 1,
    timeouts: { install: 60 },
    oz_overrides: { libvirt: { cpus: 8 }, timeouts: { install: 1, shutdown: 9 } },
  }
  const { options } = applyOzOverrides(given)
  assert.deepEqual(options, { cpus: 1, timeouts: { install: 60, shutdown: 9 } })
})

test('refuses what is no object of sections', () => {
  for (const bad of [
    '{',
    '[]',
    '3',
    '{"libvirt": 3}',
    '{"libvirt": {"cpus": "many"}}',
    '{"libvirt": {"cpus": {}}}',
  ])
    assert.throws(() => applyOzOverrides({ oz_overrides: bad }), failsWith('REQUEST_INVALID'), bad)
})
