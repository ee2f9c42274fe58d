import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { array, assert as check, constantFrom, date, property, string, tuple } from 'fast-check'
import { serviceDefaults } from '../app/service-config.ts'
import { isFailure } from '../base/failure.ts'
import { failsWith } from '../testing/fails-with.ts'
import { parseImageQuery, parseIsoTime, splitQuoted } from './_image-query.ts'

const parse = (query: string) =>
  parseImageQuery(new URLSearchParams(query), serviceDefaults('/nowhere').image)
const filterOf = (query: string) => parse(query).filter

describe('a filter of images', () => {
  it('is a value, or any of several', () => {
    assert.deepEqual(filterOf('name=a&status=in:active,queued&disk_format=eq:raw').anyOf, {
      name: ['a'],
      status: ['active', 'queued'],
      disk_format: ['raw'],
    })
    assert.deepEqual(filterOf('name=eq:a:b').anyOf, { name: ['a:b'] })
    assert.deepEqual(filterOf('name=in:a,"b,c",d').anyOf, { name: ['a', 'b,c', 'd'] })
  })

  it('compares times', () => {
    const time = new Date('2026-07-01T12:00:00Z')
    for (const comparison of ['gt', 'gte', 'lt', 'lte', 'eq', 'neq'])
      assert.deepEqual(filterOf(`created_at=${comparison}:2026-07-01T12:00:00Z`).times, [
        { key: 'created_at', comparison, time },
      ])
    assert.deepEqual(filterOf('updated_at=2026-07-01T14:00:00%2B02:00').times, [
      { key: 'updated_at', comparison: 'eq', time },
    ])
  })

  it('compares numbers', () => {
    assert.deepEqual(filterOf('size_min=1&size_max=2&min_ram=512&virtual_size_max=9').numbers, [
      { key: 'size', comparison: 'gte', value: 1 },
      { key: 'size', comparison: 'lte', value: 2 },
      { key: 'min_ram', comparison: 'eq', value: 512 },
      { key: 'virtual_size', comparison: 'lte', value: 9 },
    ])
  })

  it('takes all tags, and every other name for a property', () => {
    const filter = filterOf(
      'tag=a&tag=%20b&os_distro=debian&hw_min=1&owner=p&protected=true&os_hidden=1',
    )
    assert.deepEqual(filter, {
      tags: ['a', 'b'],
      properties: { os_distro: 'debian', hw_min: '1' },
      owner: 'p',
      protected: true,
      hidden: true,
    })
  })

  const refused = [
    'name=like:x',
    'name=in:a"b',
    'name=in:"a',
    'name=in:"a"b',
    'created_at=after:2026-07-01T12:00:00Z',
    'created_at=gt:yesterday',
    'created_at=gt:2026-02-30T00:00:00Z',
    'size_min=big',
    'size=1.5',
    'visibility=secret',
    'member_status=maybe',
    'protected=1',
    'os_hidden=perhaps',
    'changes-since=2026-07-01',
    'limit=-1',
    'limit=many',
    'sort_key=colour',
    'sort_dir=up',
    'sort=name:up',
    'sort=name&sort_key=size',
    'sort_key=name&sort_key=size&sort_key=id&sort_dir=asc&sort_dir=desc',
    'name=%00',
    Array.from({ length: 161 }, (_, index) => `tag=${index}`).join('&'),
    `sort=${Array.from({ length: 161 }, () => 'name').join(',')}`,
  ]
  for (const query of refused)
    it(`is not ${query.slice(0, 80)}`, () => {
      assert.throws(() => parse(query), failsWith('REQUEST_INVALID'))
    })

  it('is read, or refused in so many words, whatever it says', () => {
    const name = constantFrom('name', 'created_at', 'size_min', 'sort', 'tag', 'limit', 'x', 'id')
    const value = constantFrom('in:', 'gt:', '"', ',', ':', '1', 'name', '-').chain((text) =>
      string().map((rest) => text + rest),
    )
    check(
      property(array(tuple(name, value)), string(), (pairs, nonsense) => {
        for (const query of [new URLSearchParams(pairs).toString(), nonsense])
          try {
            parse(query)
          } catch (error) {
            assert.ok(isFailure(error, 'REQUEST_INVALID'), String(error))
          }
      }),
    )
  })
})

describe('a page of images', () => {
  it('is as long as asked for, within bounds, and has 25 by default', () => {
    assert.deepEqual([parse('').limit, parse('limit=7').limit], [25, 7])
    assert.deepEqual([parse('limit=0').limit, parse('limit=99999').limit], [0, 1000])
  })

  it('is sorted by what was made last, or as asked for in either way', () => {
    assert.deepEqual(parse('').sort, [{ key: 'created_at', direction: 'desc' }])
    const wanted = [
      { key: 'name', direction: 'asc' },
      { key: 'size', direction: 'desc' },
    ]
    assert.deepEqual(parse('sort=name:asc,size').sort, wanted)
    assert.deepEqual(parse('sort_key=name&sort_dir=asc&sort_key=size&sort_dir=desc').sort, wanted)
    assert.deepEqual(parse('sort_key=name&sort_key=size&sort_dir=asc').sort, [
      { key: 'name', direction: 'asc' },
      { key: 'size', direction: 'asc' },
    ])
  })
})

const quote = (text: string) => `"${text.replaceAll(/["\\]/g, (char) => `\\${char}`)}"`

describe('values between commas', () => {
  it('are kept together by quotes, whatever they hold', () => {
    check(
      property(array(string(), { minLength: 1 }), (values) => {
        assert.deepEqual(splitQuoted(values.map(quote).join(',')), values)
      }),
    )
  })
})

describe('a time', () => {
  it('is read back as it was written, in every form of ISO 8601 that clients use', () => {
    check(
      property(
        date({
          min: new Date('1000-01-01'),
          max: new Date('9999-12-30'),
          noInvalidDate: true,
        }),
        (time) => {
          const iso = time.toISOString()
          assert.deepEqual(parseIsoTime(iso), time)
          assert.deepEqual(parseIsoTime(iso.replaceAll(/[-:]/g, '')), time)
          assert.deepEqual(parseIsoTime(iso.replace('Z', '')), time)
          assert.deepEqual(parseIsoTime(iso.replace('Z', '+00:00')), time)
        },
      ),
    )
  })
})
