// What scripts find in their scope, by the names and parameters of Eclipse Ditto.
var Ditto = {
  buildDittoProtocolMsg(namespace, name, group, channel, criterion, action, path, dittoHeaders, value, status, extra) {
    const start = namespace + '/' + name + '/' + group + '/';
    const topic = (channel === 'none' ? start : start + channel + '/') + criterion + '/' + action;
    return { topic, path, headers: dittoHeaders, value, status, extra };
  },
  buildExternalMsg(headers, textPayload, bytePayload, contentType) {
    return { headers, textPayload, bytePayload, contentType };
  },
  // Bytes are code units; in pieces, since a call has a bound on its arguments.
  arrayBufferToString(buffer) {
    const bytes = new Uint8Array(buffer);
    let text = '';
    for (let at = 0; at < bytes.length; at += 4096) {
      text += String.fromCharCode.apply(null, bytes.subarray(at, at + 4096));
    }
    return text;
  },
  stringToArrayBuffer(text) {
    const bytes = new Uint8Array(text.length);
    for (let at = 0; at < bytes.length; at++) {
      bytes[at] = text.charCodeAt(at);
    }
    return bytes.buffer;
  },
  asByteBuffer(buffer) {
    return dcodeIO.ByteBuffer.wrap(new Uint8Array(buffer));
  },
};

function require(module) {
  throw new Error('there is no module ' + module);
}

// In effect where a script does not define them.
function mapToDittoProtocolMsg(headers, textPayload, bytePayload, contentType) {
  if (contentType === 'application/vnd.eclipse.ditto+json') {
    return JSON.parse(textPayload);
  }
  if (contentType === 'application/octet-stream') {
    try {
      return JSON.parse(Ditto.arrayBufferToString(bytePayload));
    } catch (e) {
      return null;
    }
  }
  return null;
}

function mapFromDittoProtocolMsg(namespace, name, group, channel, criterion, action, path, dittoHeaders, value, status, extra) {
  const message =
    Ditto.buildDittoProtocolMsg(namespace, name, group, channel, criterion, action, path, dittoHeaders, value, status, extra);
  return Ditto.buildExternalMsg(dittoHeaders, JSON.stringify(message), null, 'application/vnd.eclipse.ditto+json');
}

// Answers the function that closes the scope when all scripts have been evaluated.
(() => {
  'use strict';
  const { apply, defineProperty, getOwnPropertyDescriptor, getPrototypeOf, ownKeys } = Reflect;
  const { freeze } = Object;
  const scope = globalThis;

  // What the engine has and Ditto has not. What waits would hold its thread.
  for (const name of ['Atomics', 'SharedArrayBuffer', 'FinalizationRegistry', 'WeakRef', 'atob', 'btoa', 'navigator', 'performance',
    'queueMicrotask']) {
    delete scope[name];
  }

  // The engine asks whether time is over at each turn of a loop, ten thousand times less often than that, and not at all within
  // what it does by itself. So what is long there and needs no memory pays with turns of a loop: one for each 256 steps.
  const LONGEST = 4194304;
  const MOST = 1e9;
  const pay = steps => {
    if (steps > MOST) {
      throw new RangeError('this would take too long');
    }
    for (let turn = steps / 256; turn >= 1; turn--);
  };
  const replace = (of, name, wrap) => {
    const before = getOwnPropertyDescriptor(of, name);
    if (before !== undefined && typeof before.value === 'function') {
      const { value } = before;
      const after = wrap(value)[name];
      defineProperty(after, 'length', { value: value.length, configurable: true });
      defineProperty(after, 'name', { value: value.name, configurable: true });
      defineProperty(of, name, { value: after, writable: true, enumerable: false, configurable: true });
    }
  };

  // An array with more elements than memory has room for is mostly holes, or none.
  const lengthOf = it => {
    const { length } = it;
    if (length > LONGEST) {
      throw new RangeError('an array of ' + length + ' is too long');
    }
    return length;
  };
  for (const name of ['copyWithin', 'fill', 'flat', 'join', 'reverse', 'shift', 'slice', 'sort', 'splice', 'toLocaleString',
    'toReversed', 'toSorted', 'toSpliced', 'unshift', 'with']) {
    replace(Array.prototype, name, native => ({
      [name](...parameters) {
        if (this !== undefined && this !== null) {
          const length = lengthOf(this);
          if (length > 256) {
            pay(length);
          }
        }
        return apply(native, this, parameters);
      },
    }));
  }
  replace(Array.prototype, 'concat', native => ({
    concat(...parameters) {
      let length = lengthOf(this);
      for (let at = 0; at < parameters.length; at++) {
        const it = parameters[at];
        if (typeof it === 'object' && it !== null) {
          length += lengthOf(it);
        }
      }
      if (length > 256) {
        pay(length);
      }
      return apply(native, this, parameters);
    },
  }));
  const numbers = getPrototypeOf(Uint8Array.prototype);
  const numberCount = getOwnPropertyDescriptor(numbers, 'length').get;
  for (const name of ['copyWithin', 'fill', 'includes', 'indexOf', 'join', 'lastIndexOf', 'reverse', 'set', 'slice', 'sort', 'toLocaleString',
    'toReversed', 'toSorted', 'with']) {
    replace(numbers, name, native => ({
      [name](...parameters) {
        const length = apply(numberCount, this, []);
        if (length > 256) {
          pay(name === 'sort' || name === 'toSorted' ? length * 16 : length);
        }
        return apply(native, this, parameters);
      },
    }));
  }
  // Looking for a long text in a long one may compare each place with all of it; its start or end is compared once.
  const searches = { includes: true, indexOf: true, lastIndexOf: true, replace: true, replaceAll: true, split: true };
  for (const name of ['endsWith', 'startsWith', ...ownKeys(searches)]) {
    replace(String.prototype, name, native => ({
      [name](what, other) {
        if (typeof this === 'string' && typeof what === 'string') {
          const steps = name in searches ? this.length * what.length : what.length;
          if (steps > 256) {
            pay(steps);
          }
        }
        return arguments.length < 2 ? apply(native, this, [what]) : apply(native, this, [what, other]);
      },
    }));
  }
  // A text is looked up by all of it.
  for (const [of, names] of [[Map.prototype, ['delete', 'get', 'has', 'set']], [Set.prototype, ['add', 'delete', 'has']]]) {
    for (const name of names) {
      replace(of, name, native => ({
        [name](key, value) {
          if (typeof key === 'string' && key.length > 256) {
            pay(key.length);
          }
          return apply(native, this, [key, value]);
        },
      }));
    }
  }
  for (const name of ['isWellFormed', 'trim', 'trimEnd', 'trimStart']) {
    replace(String.prototype, name, native => ({
      [name]() {
        if (typeof this === 'string' && this.length > 256) {
          pay(this.length);
        }
        return apply(native, this, []);
      },
    }));
  }

  // Everything that the language has, as far as it can be reached by names.
  const known = [];
  const isKnown = new Set();
  const add = it => {
    if ((typeof it === 'object' && it !== null || typeof it === 'function') && it !== scope && !isKnown.has(it)) {
      isKnown.add(it);
      known.push(it);
    }
  };
  const bound = [];
  for (const name of ownKeys(scope)) {
    const { value } = getOwnPropertyDescriptor(scope, name);
    if (name !== 'mapToDittoProtocolMsg' && name !== 'mapFromDittoProtocolMsg') {
      bound.push(name);
      add(value);
    }
  }
  add(getPrototypeOf([][Symbol.iterator]()));
  add(getPrototypeOf(new Map()[Symbol.iterator]()));
  add(getPrototypeOf(new Set()[Symbol.iterator]()));
  add(getPrototypeOf(''[Symbol.iterator]()));
  add(getPrototypeOf(''.matchAll(/x/g)));
  add(getPrototypeOf((function* () {})()));
  add(getPrototypeOf((async function* () {})()));
  add(getPrototypeOf(async () => {}));
  for (let at = 0; at < known.length; at++) {
    const it = known[at];
    add(getPrototypeOf(it));
    for (const key of ownKeys(it)) {
      const property = getOwnPropertyDescriptor(it, key);
      // Methods are not looked into: nobody can change what they do.
      if (typeof property.value === 'object' || key === 'prototype' || key === 'constructor') {
        add(property.value);
      }
    }
  }

  // An object must be able to have a member of its own by the name of one of these, though they cannot be changed.
  const own = (from, key, { value }) => {
    defineProperty(from, key, {
      __proto__: null,
      get() {
        return value;
      },
      set(to) {
        if (this !== from && (typeof this === 'object' && this !== null || typeof this === 'function')) {
          defineProperty(this, key, { __proto__: null, value: to, writable: true, enumerable: true, configurable: true });
        }
      },
      enumerable: false,
      configurable: false,
    });
  };
  const inherited = { __proto__: null, toString: true, valueOf: true, name: true, message: true, toJSON: true };
  return () => {
    for (let at = 0; at < known.length; at++) {
      const it = known[at];
      const isPrototype = typeof it === 'object';
      const keys = isPrototype ? ownKeys(it) : [];
      for (let place = 0; place < keys.length; place++) {
        const key = keys[place];
        const property = getOwnPropertyDescriptor(it, key);
        const isOwn = it === Object.prototype || inherited[key] === true || key === 'constructor' && 'message' in it;
        if (isOwn && property.configurable && property.get === undefined && property.set === undefined) {
          own(it, key, property);
        }
      }
      freeze(it);
    }
    for (let at = 0; at < bound.length; at++) {
      const property = getOwnPropertyDescriptor(scope, bound[at]);
      if (property !== undefined && property.writable) {
        defineProperty(scope, bound[at], { __proto__: null, writable: false, configurable: false });
      }
    }
  };
})();
