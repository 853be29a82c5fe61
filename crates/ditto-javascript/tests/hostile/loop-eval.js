eval('for (;;);');
