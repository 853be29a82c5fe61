for (;;) new RegExp('[\\p{L}\\p{N}\\p{P}]{1,9}', 'iu');
