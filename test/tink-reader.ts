/** Reads Tink's protobufs without a line of the product's: what it makes of an export is a second opinion. */

/** The fields of one message: number, then a varint or bytes. */
function fieldsOf(bytes: Uint8Array): [number, number | Buffer][] {
  const view = Buffer.from(bytes);
  const fields: [number, number | Buffer][] = [];
  let at = 0;
  const varint = (): number => {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = view.readUInt8(at++);
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return Number(value);
    }
  };
  while (at < view.length) {
    const tag = varint();
    if (tag % 8 === 0) fields.push([tag >> 3, varint()]);
    else if (tag % 8 === 2) {
      const length = varint();
      fields.push([tag >> 3, view.subarray(at, at + length)]);
      at += length;
    } else throw new RangeError(`wire type ${tag % 8}`);
  }
  return fields;
}

const one = (fields: [number, number | Buffer][], number: number) => fields.find(([found]) => found === number)?.[1];
const all = (fields: [number, number | Buffer][], number: number) =>
  fields.filter(([found]) => found === number).map(([, value]) => value as Buffer);

export interface ReadKey {
  readonly keyId: number;
  readonly status: number;
  readonly prefix: number;
  readonly typeUrl: string;
  readonly keyValue: Uint8Array;
}

export function readKeyset(bytes: Uint8Array): { primaryKeyId: number; keys: ReadKey[] } {
  const keyset = fieldsOf(bytes);
  return {
    primaryKeyId: one(keyset, 1) as number,
    keys: all(keyset, 2).map((key) => {
      const fields = fieldsOf(key);
      const data = fieldsOf(one(fields, 1) as Buffer);
      return {
        keyId: one(fields, 3) as number,
        status: one(fields, 2) as number,
        prefix: one(fields, 4) as number,
        typeUrl: (one(data, 1) as Buffer).toString(),
        keyValue: one(fieldsOf(one(data, 2) as Buffer), 3) as Buffer,
      };
    }),
  };
}

export function readEncryptedKeyset(bytes: Uint8Array): {
  encryptedKeyset: Uint8Array;
  info: { primaryKeyId: number; keyIds: number[] };
} {
  const fields = fieldsOf(bytes);
  const info = fieldsOf(one(fields, 3) as Buffer);
  return {
    encryptedKeyset: one(fields, 2) as Buffer,
    info: {
      primaryKeyId: one(info, 1) as number,
      keyIds: all(info, 2).map((key) => one(fieldsOf(key), 3) as number),
    },
  };
}
