/** What came with an order and nobody may see: sealed, until the work that needs it has ended. */
import type { Database, Tx } from '../../database/database.ts'
import type { FactoryTables } from './_factory-tables.ts'
import type { JsonObject } from '../factory-image.ts'
import { seal, unseal } from './_seal.ts'

export interface Secrets {
  /** Of the provider. */
  readonly credentials?: JsonObject | undefined
  /** As it came, if there are secrets in it. */
  readonly definition?: JsonObject | undefined
  /** Those that are secret, or hold a secret. */
  readonly parameters?: JsonObject | undefined
}

export class SecretTable {
  readonly #database: Database
  readonly #key: Uint8Array

  constructor(database: Database, key: Uint8Array) {
    this.#database = database
    this.#key = key
  }

  async read(imageId: string, tx?: Tx): Promise<Secrets> {
    const tables = tx ? tx.as<FactoryTables>() : this.#database.read<FactoryTables>()
    const row = await tables
      .selectFrom('factory_secrets')
      .select('sealed')
      .where('image_id', '=', imageId)
      .executeTakeFirst()
    return row ? (JSON.parse(unseal(this.#key, imageId, row.sealed)) as Secrets) : {}
  }

  /** In place of what was kept. */
  async write(tx: Tx, imageId: string, secrets: Secrets): Promise<void> {
    if (namesOf(secrets).length === 0) return
    const sealed = seal(this.#key, imageId, JSON.stringify(secrets))
    await tx
      .as<FactoryTables>()
      .insertInto('factory_secrets')
      .values({ image_id: imageId, sealed })
      .onConflict((conflict) => conflict.column('image_id').doUpdateSet({ sealed }))
      .execute()
  }

  /** When the work has ended that needs them; as long as there are leftovers, they are needed to clear these away. */
  async forget(tx: Tx, imageId: string): Promise<void> {
    await tx
      .as<FactoryTables>()
      .deleteFrom('factory_secrets')
      .where('image_id', '=', imageId)
      .where(({ not, exists, selectFrom }) =>
        not(exists(selectFrom('factory_leftovers').select('part').where('image_id', '=', imageId))),
      )
      .execute()
  }
}

/** What there are: `credentials`, `definition`, `parameters.admin_password`. */
export function namesOf({ credentials, definition, parameters }: Secrets): string[] {
  return [
    ...(credentials ? ['credentials'] : []),
    ...(definition ? ['definition'] : []),
    ...Object.keys(parameters ?? {}).map((name) => `parameters.${name}`),
  ]
}
