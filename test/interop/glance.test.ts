/**
 * The `glance` command of Debian 12 (python-glanceclient 4.1) against `ingot serve`: every command it has. It has none
 * for locations of the new API, for `prefer`, or for cleaning and pruning the cache. A mistake of its own: the header
 * that `md-tag-create-multiple --append` asks for is no text, so that it ends before it is sent.
 */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { after, before, describe, it } from 'node:test'
import { MiB } from '../../src/base/units.ts'
import { tempDir } from '../../src/testing/temp-dir.ts'
import { type Clients, noClients, openClients, type Person } from './_clients.ts'
import { bytes, eventually, type Ground, openGround } from './_ground.ts'

const temp = await tempDir()
const skip = await noClients()
const opened = new AsyncDisposableStack()
after(() => opened.disposeAsync())

let clients: Clients
let ground: Ground
let person: Person
const disk = temp('ground/disk.raw')
const glance = (words: string, stdin?: string) =>
  person.ok('glance', words, { ...(stdin !== undefined && { stdin }) })
const fails = (words: string, message: RegExp) => person.fails('glance', words, message)

/** The rows of a table: `{ name: 'x' }`; of one with the columns Property and Value, one object. */
function rowsOf(table: string): Record<string, string>[] {
  const [head = [], ...rows] = table
    .split('\n')
    .filter((line) => line.startsWith('|'))
    .map((line) =>
      line
        .split('|')
        .slice(1, -1)
        .map((cell) => cell.trim()),
    )
  return rows.map((row) => Object.fromEntries(head.map((name, at) => [name, row[at] ?? ''])))
}

async function facts(words: string, stdin?: string): Promise<Record<string, string>> {
  const rows = rowsOf(await glance(words, stdin))
  return Object.fromEntries(rows.map(({ Property = '', Value = '' }) => [Property, Value]))
}

const create = async (words: string, stdin?: string) => {
  const { id = '' } = await facts(`image-create ${words}`, stdin)
  return id
}
const show = (id: string) => facts(`image-show ${id}`)
const untilActive = async (id: string) =>
  await eventually(
    () => show(id),
    (image) => image['status'] === 'active',
  )

before(async () => {
  if (skip) return
  clients = opened.use(await openClients(temp('')))
  ground = opened.use(
    await openGround(temp('ground'), {
      image: { show_multiple_locations: true },
      quotas: { default: { image_size_total: 200, image_count_total: 60 }, projects: {} },
    }),
  )
  person = clients.as({ OS_IMAGE_URL: ground.url, OS_AUTH_TOKEN: 'any' })
  await glance('image-list') // it keeps the schemas, and makes flags of them
})

describe('glance: images', { skip }, () => {
  it('creates an image with each flag, and shows all of it', async () => {
    const id = randomUUID()
    const kernel = randomUUID()
    await create(
      `--id ${id} --name every --container-format bare --disk-format raw --min-disk 2 --min-ram 64` +
        ` --visibility community --protected True --hidden False --tags a b --property note=yes` +
        ` --architecture x86_64 --os-distro debian --os-version 13 --kernel-id ${kernel}`,
    )
    const image = await show(id)
    const { name, status, visibility, min_disk: disk, min_ram: ram, note } = image
    assert.deepEqual(
      { name, status, visibility, disk, ram, note },
      {
        name: 'every',
        status: 'queued',
        visibility: 'community',
        disk: '2',
        ram: '64',
        note: 'yes',
      },
    )
    assert.deepEqual([image['protected'], image['kernel_id']], ['True', kernel])
    await fails(`image-delete ${id}`, /not permitted/)
    await glance(`image-update ${id} --protected False`)
    await glance(`image-delete ${id}`)
    await fails(`image-show ${id}`, /404|No image/i)
  })

  it('uploads a file, and standard input, to a store, and downloads the very bytes', async () => {
    const format = '--container-format bare --disk-format raw'
    const one = await create(`--name one ${format} --file ${disk} --store slow`)
    assert.equal((await show(one))['stores'], 'slow')
    const two = await create(`--name two ${format}`, disk)
    const three = await create(`--name three ${format}`)
    await glance(`image-upload ${three} --file ${disk} --progress`)
    for (const id of [one, two, three]) {
      assert.equal((await show(id))['status'], 'active')
      await glance(`image-download ${id} --file ${temp('saved')} --progress`)
      assert.deepEqual(readFileSync(temp('saved')), bytes)
    }
    await fails(`image-upload ${three} --file ${disk}`, /409|active|queued/i)
    await fails(`image-create ${format} --file ${disk} --store nowhere`, /nowhere/)
    for (const id of [one, two, three]) await glance(`image-delete ${id}`)
  })

  it('says that an image has no data', async () => {
    const id = await create('--name empty')
    await fails(`image-download ${id} --file ${temp('none')}`, /no data/i)
    await fails(`image-upload ${id} --file ${disk}`, /400|disk_format|format/i)
    await glance(`image-delete ${id}`)
  })

  it('lists by every filter, sorted', async () => {
    const ids = []
    for (const [name, words] of [
      ['c', '--visibility public --tags red --property kind=odd'],
      ['a', '--visibility private --tags red blue'],
      ['b', '--visibility shared --property kind=odd --hidden True'],
    ])
      ids.push(await create(`--name l-${name} --property mark=it ${words}`))
    const names = async (words: string) =>
      rowsOf(await glance(`image-list --property-filter mark=it ${words}`)).map(
        (row) => row['Name'],
      )
    assert.deepEqual(await names('--sort name:asc'), ['l-a', 'l-c'])
    assert.deepEqual(await names('--sort-key name --sort-dir desc'), ['l-c', 'l-a'])
    assert.deepEqual(await names('--hidden True'), ['l-b'])
    assert.deepEqual(await names('--visibility public'), ['l-c'])
    assert.deepEqual(await names('--visibility all --sort name:asc'), ['l-a', 'l-c'])
    assert.deepEqual(await names('--tag red --sort name:asc'), ['l-a', 'l-c'])
    assert.deepEqual(await names('--property-filter kind=odd'), ['l-c'])
    assert.deepEqual(await names('--limit 1 --sort name:asc'), ['l-a'])
    assert.deepEqual(await names('--page-size 1 --sort name:asc'), ['l-a', 'l-c'])
    assert.deepEqual(await names(`--checksum ${'0'.repeat(32)}`), [])
    assert.deepEqual(await names(`--hash ${'0'.repeat(128)}`), [])
    assert.deepEqual(await names('--owner nobody'), [])
    assert.deepEqual(await names('--member-status all --sort name:asc'), ['l-a', 'l-c'])
    await glance('image-list --include-stores')
    await glance('-v image-list')
    await fails('image-list --sort nonsense:asc', /sort|nonsense/i)
    for (const id of ids) await glance(`image-delete ${id}`)
  })

  it('updates fields, properties and tags', async () => {
    const id = await create('--name before --property a=1')
    await glance(
      `image-update ${id} --name after --min-ram 5 --min-disk 6 --disk-format qcow2 --container-format bare` +
        ' --property b=2 --remove-property a --visibility private --hidden True --os-distro debian',
    )
    const image = await show(id)
    assert.deepEqual(
      [image['name'], image['min_ram'], image['b'], 'a' in image, image['os_hidden']],
      ['after', '5', '2', false, 'True'],
    )
    await glance(`image-tag-update ${id} first`)
    await glance(`image-tag-update ${id} second`)
    await glance(`image-tag-delete ${id} first`)
    assert.match((await show(id))['tags'] ?? '', /second/)
    await fails(`image-tag-delete ${id} first`, /404|first/i)
    await fails(`image-update ${id} --property os_glance_x=1`, /403|os_glance/i)
    await glance(`image-delete ${id}`)
  })

  it('deactivates and reactivates', async () => {
    const id = await create(`--name off --container-format bare --disk-format raw --file ${disk}`)
    await glance(`image-deactivate ${id}`)
    assert.equal((await show(id))['status'], 'deactivated')
    await glance(`image-reactivate ${id}`)
    assert.equal((await show(id))['status'], 'active')
    const queued = await create('--name queued')
    await fails(`image-deactivate ${queued}`, /403|queued/i)
    await glance(`image-delete ${id} ${queued}`)
  })

  it('shares an image, and says with whom', async () => {
    const id = await create('--name shared --visibility shared')
    await glance(`member-create ${id} someone`)
    const [member] = rowsOf(await glance(`member-list --image-id ${id}`))
    assert.deepEqual([member?.['Member ID'], member?.['Status']], ['someone', 'pending'])
    assert.match(await glance(`member-get ${id} someone`), /pending/)
    await fails(`member-create ${id} someone`, /409|already|duplicate/i)
    await glance(`member-update ${id} someone accepted`)
    await glance(`member-delete ${id} someone`)
    assert.deepEqual(rowsOf(await glance(`member-list --image-id ${id}`)), [])
    await glance(`image-delete ${id}`)
  })

  it('explains what an image is, from the schema', async () => {
    assert.match(await glance('explain image'), /os_hash_value/)
  })

  it('adds, describes and removes a location', async () => {
    const id = await create('--name there --container-format bare --disk-format raw')
    await glance(`location-add ${id} --url ${ground.web}/disk.raw --metadata {"by":"hand"}`)
    assert.equal((await untilActive(id))['status'], 'active')
    await glance(`location-update ${id} --url ${ground.web}/disk.raw --metadata {"by":"foot"}`)
    await fails(`location-delete ${id} --url ${ground.web}/disk.raw`, /403|last|empty|location/i)
    await glance(`image-download ${id} --file ${temp('saved')}`)
    assert.deepEqual(readFileSync(temp('saved')), bytes)
    await glance(`image-delete ${id}`)
  })

  it('tells usage, and refuses what is beyond the quota', async () => {
    const rows = rowsOf(await glance('usage'))
    const total = rows.find((row) => row['Quota'] === 'image_count_total')
    assert.equal(total?.['Limit'], '60')
    writeFileSync(temp('large'), Buffer.alloc(256 * MiB))
    await fails(
      `image-create --name large --container-format bare --disk-format raw --file ${temp('large')}`,
      /413|quota|limit/i,
    )
  })
})

describe('glance: imports, stores, tasks', { skip }, () => {
  const format = '--container-format bare --disk-format raw'

  it('tells the methods and the stores', async () => {
    const info = (await glance('import-info')).replaceAll(/[\s|]/g, '') // lines are broken anywhere
    for (const method of ['glance-direct', 'web-download', 'copy-image'])
      assert.match(info, new RegExp(method))
    const stores = await glance('stores-info')
    for (const store of ['fast', 'slow', 'web']) assert.match(stores, new RegExp(store))
    assert.match(await glance('stores-info --detail'), /file/)
  })

  it('stages, and imports what is staged', async () => {
    const id = await create(`--name staged ${format}`)
    await glance(`image-stage ${id} --file ${disk} --progress`)
    assert.equal((await show(id))['status'], 'uploading')
    await glance(`image-import ${id} --import-method glance-direct`)
    await untilActive(id)
    await glance(`image-download ${id} --file ${temp('saved')}`)
    assert.deepEqual(readFileSync(temp('saved')), bytes)
    assert.match(await glance(`image-tasks ${id}`), /success/)
  })

  it('imports from the web to named stores, to all, and only if it may', async () => {
    const id = await create(`--name web ${format}`)
    await glance(
      `image-import ${id} --import-method web-download --uri ${ground.web}/disk.raw --stores fast,slow`,
    )
    await eventually(
      () => show(id),
      ({ stores = '' }) => stores.includes('slow') && stores.includes('fast'),
    )
    const refused = await create(`--name refused ${format}`)
    const words = `image-import ${refused} --import-method web-download --uri`
    await fails(`${words} http://169.254.169.254/x`, /400|refused|allowed|private|link/i)
    await fails(`${words} ftp://127.0.0.1/x`, /400|scheme|allowed/i)
    await fails(`image-import ${refused} --import-method nonsense`, /nonsense|method/i)
    await fails(
      `image-import ${refused} --import-method glance-direct`,
      /409|uploading|state|staged/i,
    )
  })

  it('copies an image to another store, and takes it from one', async () => {
    const id = await create(`--name copied ${format} --file ${disk} --store fast`)
    await glance(`image-import ${id} --import-method copy-image --stores slow`)
    await eventually(
      () => show(id),
      ({ stores = '' }) => stores.includes('slow') && stores.includes('fast'),
    )
    await glance(`stores-delete --store fast ${id}`)
    assert.equal((await show(id))['stores'], 'slow')
    await fails(`stores-delete --store slow ${id}`, /403|only|last/i)
    await fails(`stores-delete --store fast ${id}`, /not found/i)
    await glance(`image-download ${id} --file ${temp('saved')}`)
    assert.deepEqual(readFileSync(temp('saved')), bytes)
  })

  it('creates an image and imports its data with one command', async () => {
    const staged = await facts(`image-create-via-import --name via ${format} --file ${disk}`)
    await untilActive(staged['id'] ?? '')
    const fetched = await facts(
      `image-create-via-import --name via ${format} --import-method web-download --uri ${ground.web}/disk.raw --store slow`,
    )
    assert.equal((await untilActive(fetched['id'] ?? ''))['stores'], 'slow')
    const empty = await facts('image-create-via-import --name via')
    assert.equal(empty['status'], 'queued')
  })

  it('lists, shows and creates tasks', async () => {
    const rows = rowsOf(await glance('task-list --status success'))
    const [{ ID: id = '' } = {}] = rows
    assert.match(await glance(`task-show ${id}`), /success/)
    await glance('task-list --sort-key status --sort-dir asc --page-size 1 --type api_image_import')
    const input = {
      import_from: `${ground.web}/disk.raw`,
      import_from_format: 'raw',
      image_properties: { name: 'by-task', disk_format: 'raw', container_format: 'bare' },
    }
    const made = await facts(`task-create --type import --input '${JSON.stringify(input)}'`)
    assert.match(made['status'] ?? '', /pending|processing|success/)
    await fails(`task-show ${randomUUID()}`, /404/)
  })
})

describe('glance: the cache', { skip }, () => {
  it('queues, lists, deletes and clears', async () => {
    const format = '--container-format bare --disk-format raw'
    const id = await create(`--name cached ${format} --file ${disk}`)
    const other = await create(`--name cached-too ${format} --file ${disk}`)
    await glance(`cache-queue ${id} ${other}`)
    await eventually(
      () => glance('cache-list'),
      (table) => {
        const cached = rowsOf(table).filter((row) => row['State'] === 'cached')
        return [id, other].every((one) => cached.some((row) => row['ID'] === one))
      },
    )
    await glance(`cache-delete ${id}`)
    const left = rowsOf(await glance('cache-list')).map((row) => row['ID'])
    assert.deepEqual([left.includes(id), left.includes(other)], [false, true])
    await glance('cache-clear --target queue')
    await glance('cache-clear --target cache')
    await glance('cache-clear --target both')
    assert.deepEqual(rowsOf(await glance('cache-list')), [])
  })
})

describe('glance: metadata definitions', { skip }, () => {
  const ns = 'Test::Namespace'

  it('has namespaces: created, imported, listed, shown, changed, deleted', async () => {
    await glance(
      `md-namespace-create ${ns} --display-name Test --description words --visibility public --protected True`,
    )
    await fails(`md-namespace-create ${ns}`, /409|exist|already/i)
    await fails(`md-namespace-delete ${ns}`, /403|protected/i)
    await glance(`md-namespace-update ${ns} --protected False --description other`)
    assert.equal((await facts(`md-namespace-show ${ns}`))['description'], 'other')
    assert.match(await glance('md-namespace-list --visibility public'), /Test::Namespace/)
    await glance('md-namespace-list --page-size 5 --resource-types OS::Glance::Image')
    await fails('md-namespace-show Nowhere', /404/)
    const text = {
      namespace: 'Test::Imported',
      display_name: 'Imported',
      visibility: 'private',
      properties: { p: { title: 'P', type: 'string' } },
      objects: [{ name: 'o', properties: { q: { title: 'Q', type: 'integer' } } }],
      tags: [{ name: 't' }],
      resource_type_associations: [{ name: 'OS::Nova::Flavor', prefix: 'x:' }],
    }
    writeFileSync(temp('namespace.json'), JSON.stringify(text))
    await glance(`md-namespace-import --file ${temp('namespace.json')}`)
    assert.match(await glance('md-object-list Test::Imported'), /\bo\b/)
    assert.match(await glance('md-namespace-resource-type-list Test::Imported'), /OS::Nova::Flavor/)
    await glance('md-namespace-show Test::Imported --resource-type OS::Nova::Flavor')
    await glance('md-namespace-delete Test::Imported')
  })

  it('has properties', async () => {
    const schema = '{"type":"string","description":"of x"}'
    await glance(`md-property-create ${ns} --name x --title X --schema '${schema}'`)
    await glance(`md-property-update ${ns} x --title Y --name y`)
    assert.equal((await facts(`md-property-show ${ns} y`))['title'], 'Y')
    assert.match(await glance(`md-property-list ${ns}`), /\by\b/)
    await fails(
      `md-property-create ${ns} --name y --title Y --schema '${schema}'`,
      /409|already|exist/i,
    )
    await fails(
      `md-property-create ${ns} --name z --title Z --schema '{"type":"nonsense"}'`,
      /400|nonsense/i,
    )
    await glance(`md-property-delete ${ns} y`)
    await glance(`md-namespace-properties-delete ${ns}`)
    assert.deepEqual(rowsOf(await glance(`md-property-list ${ns}`)), [])
  })

  it('has objects', async () => {
    const schema = '{"properties":{"size":{"title":"Size","type":"integer"}},"description":"of o"}'
    await glance(`md-object-create ${ns} --name o --schema '${schema}'`)
    assert.match(await glance(`md-object-show ${ns} o`), /size/)
    assert.match(await glance(`md-object-property-show ${ns} o size`), /integer/)
    await glance(`md-object-update ${ns} o --name p`)
    assert.match(await glance(`md-object-list ${ns}`), /\bp\b/)
    await glance(`md-object-delete ${ns} p`)
    await glance(`md-namespace-objects-delete ${ns}`)
    await fails(`md-object-show ${ns} p`, /404/)
  })

  it('has tags', async () => {
    await glance(`md-tag-create-multiple ${ns} --names two;three --delim ;`)
    await glance(`md-tag-create ${ns} --name one`)
    const names = async () => rowsOf(await glance(`md-tag-list ${ns}`)).map(({ name = '' }) => name)
    assert.deepEqual((await names()).toSorted(), ['one', 'three', 'two'])
    await glance(`md-tag-update ${ns} one --name eins`)
    assert.match(await glance(`md-tag-show ${ns} eins`), /eins/)
    await glance(`md-tag-delete ${ns} eins`)
    await glance(`md-tag-create-multiple ${ns} --names four`)
    assert.deepEqual(await names(), ['four'])
    await glance(`md-namespace-tags-delete ${ns}`)
    assert.deepEqual(await names(), [])
  })

  it('has resource types, the standard ones among them', async () => {
    assert.match(await glance('md-resource-type-list'), /OS::Glance::Image/)
    await glance(`md-resource-type-associate ${ns} --name OS::Glance::Image --prefix hw_`)
    assert.match(await glance(`md-namespace-resource-type-list ${ns}`), /hw_/)
    await glance(`md-resource-type-deassociate ${ns} OS::Glance::Image`)
    await fails(`md-resource-type-deassociate ${ns} OS::Glance::Image`, /404/)
    await glance(`md-namespace-delete ${ns}`)
  })
})
